"""Pieces of each language, for the fuzzer to build with."""


def _cut(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


SIP = _cut(
    "\r\n|\r\n\r\n|\n--\n|INVITE | SIP/2.0|SIP/2.0 200 OK|Via: |v: |From: |To: |CSeq: |Call-ID: |Contact: *|"
    "Content-Length: |"
    "Content-Type: multipart/mixed;boundary=x|--x|Route: <|<sip:|;tag=|;branch=z9hG4bK|;lr|%00|Require: 100rel|"
    "Session-Expires: "
)
HEADER = _cut(
    'sip:|tel:+1|<|>|;|=|"|\\|,|%41|;tag=|;q=0.1|Digest |realm=|nonce=|qop=|auth-int|to-tag=|from-tag=|inline:|'
    "AES_CM_128_HMAC_SHA1_80"
)
SDP = _cut(
    "\r\n|v=0|m=audio |RTP/AVP|RTP/SAVP|UDP/TLS/RTP/SAVPF|a=rtpmap:|a=fmtp:|a=crypto:1 |inline:|a=fingerprint:sha-256 |"
    "a=setup:actpass|a=sendonly|a=rtcp:|a=rtcp-mux|c=IN IP4 |telephone-event/8000|opus/48000/2|a=ptime:|0.0.0.0|::"
)
YAML = _cut(
    "sip:|listen:|trunks:|numbers:|agents:|pools:|limits:|tolls:|api:|store:|media:|webhooks:|recordings:|trace:|log:|"
    "calls:|handler: echo|inbound_agent: |sip_domain: |username: |password: |${NAME}|&a|*a|<<: |- |\n  |'|{|}|[|]|!!"
)
JSON = _cut(
    '{"|":|"event"|"media"|"payload"|"mark"|"name"|"clear"|"type"|"playAudio"|"data"|"audioContent"|"audioContentType"|'
    '"wav"|"sampleRate"|"notify"|"call_inbound"|"override_model_id"|"custom_variables"|"metadata"|null|[[|\\ud800'
)
NUMBER = _cut("tel:|sip:|+1|+49|;phone-context=|%2B|00|(|)|x")
FIELD = _cut("sip:|sips:|;transport=tcp|;lr|[::1]|<|>|:5060|udp:")
JOURNAL = _cut('B"|S"|\t|"id"|"started_at"|"ending"|"quality"|"attempts"')
