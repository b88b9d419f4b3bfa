"""Which addresses are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard_server.outbound.policy import LOOPBACK, AddressPolicy, AddressRefused, AllowError

PUBLIC = "93.184.216.34"
NOT_PUBLIC = [
    "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_not_called(address):
    with pytest.raises(AddressRefused):
        AddressPolicy().check("peer", address, 443)


@pytest.mark.parametrize(("address", "port"), [(PUBLIC, 80), (PUBLIC, 443), (PUBLIC, 8080), ("2606:4700::1", 443)])
def test_what_is_public_is_called(address, port):
    AddressPolicy().check("peer", address, port)


@pytest.mark.parametrize("port", [22, 25, 53, 110, 445, 1023])
def test_ports_of_other_services_are_not_called(port):
    with pytest.raises(AddressRefused, match=f"port {port}"):
        AddressPolicy().check("peer", PUBLIC, port)


@pytest.mark.parametrize(
    ("allow", "host", "address", "port"),
    [
        ("10.1.0.0/16", "a", "10.1.2.3", 8080),
        ("10.1.2.3", "a", "10.1.2.3", 22),
        ("10.1.2.3:8080", "a", "10.1.2.3", 8080),
        ("producer.local", "producer.local", "10.9.9.9", 80),
        ("producer.local:81", "producer.local", "10.9.9.9", 81),
        ("*.svc.cluster.local", "a.b.svc.cluster.local", "10.9.9.9", 80),
        ("PRODUCER.local", "producer.local", "10.9.9.9", 80),
        ("fd00::/8", "a", "fd12::1", 80),
        ("[fd12::1]:8080", "a", "fd12::1", 8080),
        ("127.0.0.0/8", "a", "::ffff:127.0.0.1", 80),
        ("169.254.0.0/16", "a", "169.254.169.254", 80),
    ],
)
def test_what_an_operator_allows_is_called(allow, host, address, port):
    AddressPolicy([allow]).check(host, address, port)


@pytest.mark.parametrize(
    ("allow", "host", "address", "port"),
    [
        ("10.1.0.0/16", "a", "10.2.0.1", 80),
        ("10.1.2.3:8080", "a", "10.1.2.3", 8081),
        ("producer.local", "evil-producer.local", "10.9.9.9", 80),
        ("*.svc.cluster.local", "svc.cluster.local", "10.9.9.9", 80),
        ("*.example.org", "example.org.evil.test", "10.9.9.9", 80),
        # Whoever lists everything, or a name, does not mean the address that tells clouds' secrets.
        ("0.0.0.0/0", "a", "169.254.169.254", 80),
        ("producer.local", "producer.local", "169.254.169.254", 80),
    ],
)
def test_and_nothing_else(allow, host, address, port):
    with pytest.raises(AddressRefused):
        AddressPolicy([allow]).check(host, address, port)


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "a b", "http://a", "*", "10.0.0.0/8/9", "a/b"])
def test_an_entry_that_means_nothing_is_refused(text):
    with pytest.raises(AllowError):
        AddressPolicy([text])


def test_development_may_call_its_own_machine_and_no_other():
    policy = AddressPolicy(LOOPBACK)
    policy.check("localhost", "127.0.0.1", 8080)
    policy.check("localhost", "::1", 80)
    with pytest.raises(AddressRefused):
        policy.check("a", "10.0.0.1", 80)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address):
    def verdict(text):
        try:
            AddressPolicy().check("a", text, 80)
        except AddressRefused:
            return False
        return True

    number = int(address)
    assert verdict(f"::ffff:{address}") == verdict(str(address))
    assert verdict(f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}") == verdict(str(address))
