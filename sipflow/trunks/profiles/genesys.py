"""Genesys Cloud, by a BYOC Cloud trunk."""

from sipflow.trunks.profiles.profile import Aspect, Fact, Profile

GENESYS = Profile(
    name="genesys",
    title="Genesys Cloud, BYOC Cloud",
    facts=(
        Fact(
            Aspect.AUTH,
            "Digest with a realm that the trunk there names, or an access list of addresses; both may be asked.",
            "https://help.mypurecloud.com/?p=130654",
        ),
        Fact(
            Aspect.REGISTRATION,
            "None on an external trunk: each side knows the other's name or addresses.",
            "https://help.mypurecloud.com/?p=155096",
            {"register": False},
        ),
        Fact(
            Aspect.TRANSPORT,
            "UDP, TCP or TLS, as the trunk there says. Calls come from any of the region's addresses.",
            "https://help.mypurecloud.com/?p=155096",
        ),
        Fact(
            Aspect.DTMF,
            "As telephone-events.",
            "https://help.mypurecloud.com/articles/work-with-your-carrier-to-provision-a-sip-trunk/",
        ),
        Fact(
            Aspect.CODECS,
            "G.711 is recommended.",
            "https://help.mypurecloud.com/articles/work-with-your-carrier-to-provision-a-sip-trunk/",
            {"codecs": ("PCMU", "PCMA")},
        ),
        Fact(
            Aspect.REQUEST_URI,
            "Calls to Genesys must carry the trunk's inbound termination identifier: as the host (FQDN), as a trunk "
            "group (TGRP), or in the number (DNIS). `sip_domain` is that FQDN.",
            "https://help.mypurecloud.com/articles/configure-sip-routing-for-a-byoc-cloud-trunk/",
        ),
    ),
)
