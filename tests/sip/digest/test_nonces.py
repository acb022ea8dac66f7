import base64

from sipflow.sip.digest.nonces import NonceMint, Standing


def mint(*, secret: bytes = b"secret", realm: bytes = b"realm", remembered: int = 100) -> NonceMint:
    return NonceMint(secret=secret, realm=realm, lifetime_s=300, remembered=remembered)


def test_a_nonce_is_good_until_its_lifetime_is_over() -> None:
    nonces = mint()
    text = nonces.issue(now=1000.5)

    assert [nonces.read(text, now=now).standing for now in (1000.5, 1300.5, 1300.6)] == [
        Standing.GOOD,
        Standing.GOOD,
        Standing.EXPIRED,
    ]


def test_two_nonces_of_one_moment_differ() -> None:
    nonces = mint()

    assert len({nonces.issue(now=1.0) for _ in range(1000)}) == 1000


def test_a_nonce_of_another_secret_realm_or_making_is_not_ours() -> None:
    nonces = mint()
    text = nonces.issue(now=1.0)
    turned = bytearray(base64.b64decode(text))
    turned[3] ^= 1

    assert nonces.read(mint(secret=b"other").issue(now=1.0), now=1.0).standing is Standing.FOREIGN
    assert nonces.read(mint(realm=b"other").issue(now=1.0), now=1.0).standing is Standing.FOREIGN
    assert nonces.read(base64.b64encode(turned).decode(), now=1.0).standing is Standing.FOREIGN


def test_what_was_never_a_nonce_is_malformed() -> None:
    nonces = mint()
    good = nonces.issue(now=1.0)

    for text in ("", "x", good[:-1], good + "A", f"{good[:-1]}=", f"{good[:-1]}é", f"{good[:-1]}\udcff", "=" * 40):
        assert nonces.read(text, now=1.0).standing is Standing.MALFORMED, text


def test_counts_must_grow_and_may_skip() -> None:
    nonces = mint()
    nonce = nonces.read(nonces.issue(now=1.0), now=1.0)

    assert [nonces.count(nonce, number, now=1.0) for number in (0, 1, 1, 2, 5, 4, 5, 0xFFFFFFFF, 0xFFFFFFFF)] == [
        False, True, False, True, True, False, False, True, False,
    ]  # fmt: skip


def test_without_a_count_a_nonce_works_once() -> None:
    nonces = mint()
    nonce = nonces.read(nonces.issue(now=1.0), now=1.0)

    assert [nonces.count(nonce, number, now=1.0) for number in (None, None, 7)] == [True, False, False]


def test_issuing_and_reading_remember_nothing() -> None:
    nonces = mint()

    for _ in range(1000):
        nonces.read(nonces.issue(now=1.0), now=1.0)

    assert len(nonces) == 0


def test_expired_nonces_are_forgotten_first() -> None:
    nonces = mint(remembered=2)
    old, late, later = (nonces.read(nonces.issue(now=at), now=at) for at in (0.0, 200.0, 301.0))
    nonces.count(old, 1, now=250.0)
    nonces.count(late, 1, now=250.0)

    assert nonces.count(later, 1, now=301.0)
    assert len(nonces) == 2
    assert not nonces.count(late, 1, now=301.0)


def test_a_flood_makes_the_oldest_expire_and_never_allows_a_replay() -> None:
    nonces = mint(remembered=10)
    texts = [nonces.issue(now=1.0) for _ in range(1000)]

    for text in texts:
        assert nonces.count(nonces.read(text, now=1.0), 1, now=1.0)

    assert len(nonces) == 10
    assert [nonces.read(text, now=1.0).standing for text in texts] == [Standing.EXPIRED] * 990 + [Standing.GOOD] * 10
    assert not any(nonces.count(nonces.read(text, now=1.0), 1, now=1.0) for text in texts[990:])


def test_a_nonce_older_than_all_remembered_ones_still_works_once() -> None:
    nonces = mint(remembered=2)
    texts = [nonces.issue(now=1.0) for _ in range(3)]

    for text in reversed(texts):
        assert nonces.count(nonces.read(text, now=1.0), 1, now=1.0)

    assert nonces.read(texts[0], now=1.0).standing is Standing.EXPIRED


def test_the_clock_of_a_long_lived_machine_fits() -> None:
    nonces = mint()
    ten_years = 10 * 366 * 86400.0

    assert nonces.read(nonces.issue(now=ten_years), now=ten_years).standing is Standing.GOOD
