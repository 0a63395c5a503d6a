from __future__ import annotations

import ast
import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lapse.ledger import standalone
from lapse.ledger.checkpoint import verify_signature
from lapse.ledger.standalone import (
    EMPTY_ROOT,
    LARGEST_NOTE,
    Checkpoint,
    Key,
    VerificationFailed,
    ed25519_verify,
    open_checkpoint,
    read_checkpoint_text,
    read_key,
    read_note,
    write_key,
)
from support.ledgers import KEY, ORIGIN, SIGNER, TestSigner, sealed

SOURCE = Path(standalone.__file__)
P, ORDER = standalone._P, standalone._ORDER

RFC_8032_VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
            "454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
            "3dca179c138ac17ad9bef1177331a704"
        ),
    ),
]

# The example in the documentation of Go's signed notes, and the key of Go's checksum database.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NEUMANN_NOTE = (
    NEUMANN_TEXT + "\n\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
GO_SUM = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


def number(value: int) -> bytes:
    return value.to_bytes(32, "little")


def note_of(text: str, signer: TestSigner = SIGNER) -> bytes:
    key = Key(signer.name, signer.public_key)
    line = base64.b64encode(key.hash + signer.sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {signer.name} {line}\n".encode()


# what the file needs


def test_it_imports_nothing_but_the_standard_library():
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert imported <= sys.stdlib_module_names


def test_it_is_written_in_the_python_of_old_installations():
    ast.parse(SOURCE.read_text(), feature_version=(3, 8))


def test_it_runs_alone(tmp_path):
    ledger = sealed(3)
    (tmp_path / "note").write_bytes(ledger.note)
    script = (
        SOURCE.read_text()
        + f"""
import sys
print(open_checkpoint(open(sys.argv[1], "rb").read(), [read_key({write_key(KEY)!r})]).size)
"""
    )
    (tmp_path / "check.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / "check.py", tmp_path / "note"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "3\n"


# Ed25519


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032_VECTORS)
def test_the_vectors_of_rfc_8032_verify(public, message, signature):
    assert ed25519_verify(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))
    assert not ed25519_verify(bytes.fromhex(public), bytes.fromhex(message) + b"!", bytes.fromhex(signature))


@given(st.integers(0, 255), st.binary(max_size=300))
def test_what_is_signed_elsewhere_verifies(seed, message):
    signer = TestSigner(seed=seed)
    assert ed25519_verify(signer.public_key, message, signer.sign(message))


@given(st.integers(0, 63), st.integers(1, 255), st.binary(max_size=40))
@settings(max_examples=200)
def test_a_changed_signature_does_not_verify(at, change, message):
    signature = bytearray(SIGNER.sign(message))
    signature[at] ^= change
    assert not ed25519_verify(SIGNER.public_key, message, bytes(signature))
    assert not verify_signature(SIGNER.public_key, message, bytes(signature))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=20))
@settings(max_examples=200)
def test_a_changed_key_or_message_does_not_verify(public, message):
    signature = SIGNER.sign(b"the message")
    assert not ed25519_verify(public, b"the message", signature)
    assert not ed25519_verify(SIGNER.public_key, b"the message" + message + b".", signature)


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_anything_of_a_wrong_length_does_not_verify(public, signature):
    assert not ed25519_verify(public, b"", signature)


def test_s_beyond_the_group_order_does_not_verify():
    signature = SIGNER.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    again = signature[:32] + number(s + ORDER)
    assert not ed25519_verify(SIGNER.public_key, b"m", again)
    assert not verify_signature(SIGNER.public_key, b"m", again)


@pytest.mark.parametrize(
    "public",
    [
        number(1),  # the neutral element
        number(P - 1),  # of order 2
        number(0),  # of order 4
        number(2**255),  # of order 4, the other sign
        number(P + 1),  # the neutral element, not reduced
        number(1 + 2**255),  # x is zero, and said to be odd
        number(2),  # no point of the curve
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),  # of order 8
    ],
)
def test_a_weak_or_impossible_public_key_verifies_nothing(public):
    # Under the neutral element as key, R = [S]B makes a signature of any message.
    s = 5
    r = standalone._compress(standalone._double_multiply(s, standalone._BASE, 0, standalone._BASE))
    assert not ed25519_verify(public, b"anything", r + number(s))
    assert not ed25519_verify(public, b"anything", number(1) + number(0))


def test_r_that_is_not_reduced_does_not_verify():
    # Signed with r = 0, so that R is the neutral element, whose y can also be written as p + 1.
    public = SIGNER.public_key
    for encoded_r, valid in ((number(1), True), (number(P + 1), False)):
        k = int.from_bytes(standalone.hashlib.sha512(encoded_r + public + b"m").digest(), "little") % ORDER
        signature = encoded_r + number(k * secret_scalar() % ORDER)
        assert ed25519_verify(public, b"m", signature) is valid


def secret_scalar() -> int:
    digest = bytearray(standalone.hashlib.sha512(bytes([7]) * 32).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    return int.from_bytes(digest, "little")


# keys


@pytest.mark.parametrize("text", [NEUMANN, GO_SUM])
def test_published_keys_are_read_and_written(text):
    assert write_key(read_key(f"  {text}\n")) == text


@given(
    st.text(st.characters(exclude_categories=["Cs", "Z", "C"], exclude_characters="+"), min_size=1),
    st.binary(min_size=32, max_size=32),
)
def test_keys_round_trip(name, public):
    assert read_key(write_key(Key(name, public))) == Key(name, public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN.replace("c74f20a3", "C74F20A3"),
        NEUMANN.replace("PeterNeumann", "Mallory"),
        NEUMANN.replace("ARpc", "AApc"),
        NEUMANN[:-4],
        NEUMANN + "=",
        NEUMANN + "é",
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(VerificationFailed):
        read_key(text)


@given(st.text(max_size=80))
def test_any_text_is_refused_as_key(text):
    with pytest.raises((VerificationFailed, UnicodeEncodeError)):
        read_key(text)


# notes and checkpoints


def test_a_note_of_another_implementation_verifies():
    key = read_key(NEUMANN)
    text, [line] = read_note(NEUMANN_NOTE)
    assert text == NEUMANN_TEXT
    assert line.key_hash == key.hash
    assert ed25519_verify(key.public_key, text.encode(), line.signature)
    with pytest.raises(VerificationFailed, match="not an origin"):  # signed, but no checkpoint
        open_checkpoint(NEUMANN_NOTE, [key])


def test_a_sealed_checkpoint_opens():
    ledger = sealed(5)
    checkpoint = open_checkpoint(ledger.note, [KEY])
    assert (checkpoint.origin, checkpoint.size, checkpoint.extensions) == (ORIGIN, 5, ())


def test_extensions_and_other_signatures_do_no_harm():
    other = TestSigner("witness.example.com", seed=9)
    text = f"{ORIGIN}\n0\n{base64.b64encode(EMPTY_ROOT).decode()}\nan extension\nanother\n"
    note = note_of(text) + note_of(text, other).rpartition(b"\n\n")[2]
    opened = open_checkpoint(note, [KEY])
    assert opened == Checkpoint(ORIGIN, 0, EMPTY_ROOT, ("an extension", "another"))
    assert open_checkpoint(note, [KEY, Key(other.name, other.public_key)]) == opened


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n",
        f"{ORIGIN}\n5\n",
        f"{ORIGIN}\n5\n{ROOT}",
        f"\n5\n{ROOT}\n",
        f"{ORIGIN}\n05\n{ROOT}\n",
        f"{ORIGIN}\n-5\n{ROOT}\n",
        f"{ORIGIN}\n+5\n{ROOT}\n",
        f"{ORIGIN}\n\N{ARABIC-INDIC DIGIT FIVE}\n{ROOT}\n",
        f"{ORIGIN}\n5 \n{ROOT}\n",
        f"{ORIGIN}\n{2**63}\n{ROOT}\n",
        f"{ORIGIN}\n{10**40}\n{ROOT}\n",
        f"{ORIGIN}\n0\n{ROOT}\n",
        f"{ORIGIN}\n5\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n5\n{ROOT[:-2]}B=\n",
        f"{ORIGIN}\n5\n{ROOT[:-4]}\n",
        f"{ORIGIN}\n5\n{ROOT}\n\n",
        f"{ORIGIN}\n5\n{ROOT}\n\nextension\n",
        f"{ORIGIN}\n5\n{ROOT}\r\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(VerificationFailed, match="the checkpoint"):
        read_checkpoint_text(text)


@given(st.text(max_size=100))
@example(f"{ORIGIN}\n5\n{ROOT}\n")
def test_any_text_is_a_checkpoint_or_refused(text):
    try:
        checkpoint = read_checkpoint_text(text)
    except VerificationFailed:
        return
    lines = [checkpoint.origin, str(checkpoint.size), base64.b64encode(checkpoint.root).decode()]
    assert "\n".join([*lines, *checkpoint.extensions, ""]) == text


NOTE = sealed(5).note


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        (b"", "empty line"),
        (b"\n\n", "signature line"),
        (NOTE[:-1], "empty line"),
        (NOTE + b"\n", "malformed|empty line"),
        (NOTE.replace(b"\n\n", b"\n"), "empty line"),
        (NOTE.replace(b"\n", b"\r\n"), "empty line"),
        (b"\x00" + NOTE, "empty line"),
        (b"\xff" + NOTE, "UTF-8"),
        (NOTE.replace("\N{EM DASH}".encode(), b"-"), "malformed"),
        (NOTE + b"\xe2\x80\x94 name AAAA\n", "malformed"),
        (NOTE + b"\xe2\x80\x94 na+me AAAAAAAA\n", "malformed"),
        (NOTE + b"\xe2\x80\x94 name AAAAAA*A\n", "malformed"),
        (NOTE + b"\xe2\x80\x94 name AAAAAAAA\n" * 100, "more than 100"),
        (NOTE + b"x" * LARGEST_NOTE, "larger than 1 MB"),
        (NOTE.replace(b"\n5\n", b"\n6\n"), "is wrong"),
        (NOTE.replace(ORIGIN.encode(), b"other.example.com/ledger"), "not signed by a key"),
        (note_of(f"other\n5\n{ROOT}\n"), "of another ledger"),
    ],
)
def test_a_note_that_is_not_right_is_refused(note, reason):
    with pytest.raises(VerificationFailed, match=reason):
        open_checkpoint(note, [KEY])


def test_a_note_signed_by_somebody_else_is_refused():
    with pytest.raises(VerificationFailed, match="not signed by a key that is trusted"):
        open_checkpoint(NOTE, [read_key(GO_SUM)])
    with pytest.raises(VerificationFailed, match="not signed by a key that is trusted"):
        open_checkpoint(NOTE, [])


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_note_with_one_byte_changed_is_refused(at, change):
    forged = NOTE[:at] + bytes([NOTE[at] ^ change]) + NOTE[at + 1 :]
    with pytest.raises(VerificationFailed):
        open_checkpoint(forged, [KEY])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_note(note):
    with pytest.raises(VerificationFailed):
        open_checkpoint(note, [KEY])
