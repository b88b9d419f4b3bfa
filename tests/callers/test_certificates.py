"""Certificates as credentials: which names count, and for how long."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jobyard_server.callers.authentication import Verified
from jobyard_server.callers.certificates import CertificateVerifier, read
from jobyard_server.callers.credential import Credential, Kind
from jobyard_server.domain.principal import Principal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOBODY = Principal("anonymous", "default")
BILLING = Principal("billing", "north")
NAMES = (
    x509.DNSName("billing.example"),
    x509.UniformResourceIdentifier("spiffe://example.org/billing"),
    x509.RFC822Name("ann@example.org"),
    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
)


def issue(*names):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex,ample"), x509.NameAttribute(NameOID.COMMON_NAME, "billing")]
    )
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


PEM = issue(*NAMES)
SUBJECT = r"subject:CN=billing,O=Ex\,ample"


def shown(pem):
    return Credential(Kind.CERTIFICATE, pem)


def test_every_kind_of_name_is_read():
    assert read(PEM).names == (
        "dns:billing.example", "uri:spiffe://example.org/billing", "email:ann@example.org", "ip:10.0.0.1", SUBJECT,
    )  # fmt: skip
    assert read(issue()).names == (SUBJECT,)


@pytest.mark.parametrize("name", read(PEM).names)
async def test_each_of_them_may_stand_for_a_caller(name):
    assert await CertificateVerifier({name: BILLING}, lambda: NOW).verify(shown(PEM)) == BILLING


@pytest.mark.parametrize("name", ["dns:BILLING.example.org", "billing.example", "subject:CN=billing", "dns:10.0.0.1"])
async def test_other_names_are_nobody(name):
    assert await CertificateVerifier({name: BILLING}, lambda: NOW).verify(shown(PEM)) is None


async def test_a_connection_that_outlives_its_certificate_is_nobodys():
    for moment, known in ((timedelta(), True), (timedelta(days=1, seconds=1), False), (timedelta(days=-2), False)):
        verifier = CertificateVerifier({SUBJECT: BILLING}, lambda moment=moment: NOW + moment)
        assert (await verifier.verify(shown(PEM)) == BILLING) is known


async def test_a_token_is_no_certificate_and_an_unknown_certificate_is_no_mistake():
    verifier = CertificateVerifier({SUBJECT: BILLING}, lambda: NOW)
    assert await verifier.verify(Credential(Kind.TOKEN, PEM)) is None
    assert await Verified([CertificateVerifier({})], NOBODY).authenticate(shown(PEM)) == NOBODY
