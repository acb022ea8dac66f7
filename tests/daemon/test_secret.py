"""The key of registration tokens."""

from dataclasses import replace

from sipflow.daemon.secret import secret_of
from sipflow.trunks.trunk import Trunk

A = Trunk("a", sip_domain="pbx.example.com", username="2001", password="one secret")
B = Trunk("b", sip_domain="pbx.example.com", username="2002", password="another")


def test_secret_is_the_same_after_a_restart_whatever_the_order() -> None:
    assert secret_of([A, B]) == secret_of([B, A])
    assert len(secret_of([])) >= 16


def test_secret_is_another_with_another_password() -> None:
    assert secret_of([A]) != secret_of([replace(A, password="changed")])
    assert b"one secret" not in secret_of([A])
