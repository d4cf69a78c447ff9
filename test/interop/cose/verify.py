"""A client and verifier of COSE receipts that shares no code with ours: scitt-cose builds statements and checks receipts.

Reads the line of serve.ts on its standard input. One line a check; the last line is `N passed, N failed`.
"""

import base64
import hashlib
import json
import sys
import urllib.error
import urllib.request

import cbor2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from scitt_cose import (
    attach_receipts,
    build_signed_statement,
    extract_receipts,
    verify_receipt,
)

place = json.loads(sys.stdin.readline())
passed = failed = 0


def check(name, holds, why=""):
    global passed, failed
    if holds:
        passed += 1
        print(f"ok      {name}")
    else:
        failed += 1
        print(f"FAILED  {name}: {why}")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(NoRedirect)


def request(url, body=None):
    headers = {} if body is None else {"Content-Type": "application/cose"}
    try:
        with opener.open(urllib.request.Request(url, data=body, headers=headers), timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


def pem_of(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_cose_key(item):
    """A COSE_Key of the log, read by cbor2, as PEM."""
    if item[1] == 1:
        return pem_of(ed25519.Ed25519PublicKey.from_public_bytes(item[-2]))
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(item[-2], "big"), int.from_bytes(item[-3], "big"), ec.SECP256R1()
    )
    return pem_of(numbers.public_key())


ISSUERS = {
    "EdDSA": private_pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([11] * 32))),
    "ES256": private_pem(ec.derive_private_key(int.from_bytes(bytes([12] * 32), "big"), ec.SECP256R1())),
}


def verified(receipt, entry, key):
    return verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=key)


def check_tampered(name, receipt, entry, key):
    """Every changed byte that decides anything is refused; the first bit of each byte is enough here."""
    accepted = []
    for at in range(len(receipt)):
        changed = bytearray(receipt)
        changed[at] ^= 1
        if verified(bytes(changed), entry, key).ok:
            accepted.append(at)
    # The proof's size is not under the root: our signed claim fixes it, which this verifier does not read.
    outside = [at for at in accepted if not is_size_byte(receipt, at)]
    check(f"{name}: scitt-cose refuses every changed byte", not outside, f"accepted at {outside}")


def is_size_byte(receipt, at):
    proof = cbor2.loads(receipt).value[1][396][-1][0]
    start = receipt.index(proof)
    return start + 1 <= at <= start + 3


def check_log(log):
    url = place[log]
    status, headers, body = request(f"{url}/.well-known/scitt-keys")
    keys = cbor2.loads(body)
    check(f"{log}: the key set is an array of COSE_Keys", status == 200 and len(keys) == 1, f"{status}")
    key = read_cose_key(keys[0])
    kid = base64.urlsafe_b64encode(keys[0][2]).rstrip(b"=").decode()
    status, headers, body = request(f"{url}/.well-known/scitt-keys/{kid}")
    check(f"{log}: the key has its own address", status == 200 and cbor2.loads(body) == keys[0], f"{status}")
    required = {label: keys[0][label] for label in (1, -1, -2, -3) if label in keys[0]}
    ordered = dict(sorted(required.items(), key=lambda member: cbor2.dumps(member[0])))
    thumbprint = hashlib.sha256(cbor2.dumps(ordered)).digest()
    check(f"{log}: its kid is the RFC 9679 thumbprint", thumbprint == keys[0][2])
    for alg, secret in ISSUERS.items():
        check_statements(log, url, key, alg, secret)
    check_refusals(log, url)


def check_statements(log, url, key, alg, secret):
    # Some ES256 signatures have the larger s: enough statements that both kinds come up.
    for n in range(8):
        name = f"{log}/{alg} {n}"
        subject = f"urn:example:{log}:{alg}:{n}"
        statement = build_signed_statement(
            payload=f"statement {n}".encode(),
            issuer=place["issuer"],
            subject=subject,
            content_type="text/plain",
            private_key_pem=secret,
            alg=alg,
        )
        status, headers, receipt = request(f"{url}/entries", statement)
        check(f"{name}: a statement that scitt-cose built is registered", status == 201, f"{status} {receipt!r}")
        result = verified(receipt, statement, key)
        check(f"{name}: scitt-cose accepts the receipt", result.ok, f"{result.errors}")
        issuer = f"https://{place['origin']}"
        check(f"{name}: it names log and subject", (result.issuer, result.subject) == (issuer, subject), f"{result}")
        other = verified(receipt, statement + b"\x00", key)
        check(f"{name}: scitt-cose refuses it for another entry", not other.ok)
        transparent = attach_receipts(statement, [receipt])
        status, headers, again = request(f"{url}/entries", transparent)
        same = verified(again, statement, key)
        check(
            f"{name}: the transparent statement is the same entry",
            status == 201 and same.ok and same.leaf_index == result.leaf_index,
            f"{status}",
        )
        check(f"{name}: and carries the receipt", extract_receipts(transparent) == [receipt])
        if n == 0:
            check_tampered(name, receipt, statement, key)


def check_refusals(log, url):
    status, headers, body = request(f"{url}/entries", b"not a statement")
    problem = cbor2.loads(body)
    form = headers.get("content-type")
    check(
        f"{log}: a refusal is a problem in CBOR",
        status == 400 and form == "application/concise-problem-details+cbor" and set(problem) == {-1, -2},
        f"{status} {form} {problem}",
    )
    stranger = private_pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([99] * 32)))
    statement = build_signed_statement(
        payload=b"x", issuer=place["issuer"], subject="s", content_type="text/plain", private_key_pem=stranger, alg="EdDSA"
    )
    status, headers, body = request(f"{url}/entries", statement)
    check(f"{log}: a stranger's statement is rejected", (status, cbor2.loads(body)[-1]) == (400, "Rejected"), f"{status}")


try:
    check_log("ed25519")
    check_log("es256")
except Exception as error:  # A fault of the run is a failure, never a silent end.
    check("the run", False, repr(error))
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
