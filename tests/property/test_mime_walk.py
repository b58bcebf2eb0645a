"""Any octets in any pieces: the walk says the same, never raises, and sees at least what Python's parser sees."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

from hypothesis import given
from hypothesis import strategies as st

from ekiden.message.encoded_words import decode_words
from ekiden.message.header import HeaderSection
from ekiden.message.mime_walk import MimeWalk, Part
from ekiden.message.parameters import read_parameters
from ekiden.message.zip_walk import Budget, Member, ZipWalk, read_directory
from tests.fakes.letters import archive, examine, pieces, rule

CUTS = st.lists(st.integers(0, 10_000), max_size=8)
FRAGMENTS = [b"\r\n", b"\r", b"--", b"b", b"--b\r\n", b"\r\n--b--\r\n", b"c", b"=", b":", b" ", b"TVqQ", b"\xff", b'"']
FRAGMENTS += [b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: multipart/digest; boundary=c\r\n"]
FRAGMENTS += [b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\r\n\r\n"]
FRAGMENTS += [b"Content-Disposition: attachment; filename=", b"filename*0*=utf-8''", b"\r\nbegin 644 a\r\n"]
SOUP = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
LEAVES = st.tuples(NAMES, st.binary(max_size=200))
STRICT = rule(attachment_kind=("program", "macros", "encrypted"), attachment_name=("*.exe",))


class Told:
    def __init__(self) -> None:
        self.told: list[object] = []

    def leaf(self, part: Part) -> Told:
        self.told.append((part, bytearray()))
        return self

    def feed(self, data: bytes) -> None:
        last = self.told[-1]
        assert isinstance(last, tuple)
        last[1].extend(data)

    def finish(self) -> None:
        """A leaf's end."""

    def blind(self, reason: str) -> None:
        self.told.insert(0, reason)

    def member(self, member: Member) -> None:
        self.told.append(member)

    def too_deep(self, name: str) -> None:
        self.told.append(name)


def walked(raw: bytes, cuts: list[int]) -> list[object]:
    told = Told()
    section = HeaderSection(raw)
    walk = MimeWalk(told)
    walk.begin(section)
    for piece in pieces(raw[section.end :], cuts):
        walk.feed(piece)
    walk.finish()
    return told.told


@given(SOUP, CUTS)
def test_pieces_make_no_difference(soup: bytes, cuts: list[int]) -> None:
    assert walked(soup, cuts) == walked(soup, [])


@given(SOUP, st.integers(1, 50))
def test_no_letter_raises(soup: bytes, piece: int) -> None:
    whole, cut = examine(soup, STRICT), examine(soup, STRICT, piece=piece)
    assert (whole.refusal is None) == (cut.refusal is None)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8), CUTS)
def test_python_sees_the_same(tree: object, cuts: list[int]) -> None:
    message = EmailMessage(policy=SMTP)
    message.set_content("hello")
    _build(message, tree)
    raw = message.as_bytes()
    expected = []
    for part in message_from_bytes(raw, policy=SMTP).walk():
        if not part.is_multipart():
            expected.append((part.get_filename() or "", part.get_content_type(), part.get_payload(decode=True)))
    found = walked(raw, cuts)
    told = [(part.names[0] if part.names else "", part.type, bytes(body)) for part, body in found]  # type: ignore[misc]
    assert [one[1:] for one in told] == [one[1:] for one in expected]
    assert [one[0].split() for one in told] == [one[0].split() for one in expected]


def _build(message: EmailMessage, tree: object) -> None:
    if isinstance(tree, tuple):
        name, octets = tree
        message.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
        return
    assert isinstance(tree, list)
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "inner"
    inner.set_content("hello")
    for branch in tree:
        _build(inner, branch)
    message.add_attachment(inner)


@given(st.binary(max_size=300))
def test_no_value_raises(value: bytes) -> None:
    assert isinstance(decode_words(value), str)
    assert isinstance(read_parameters(value).value, str)


@given(NAMES)
def test_a_name_is_read_as_python_wrote_it(name: str) -> None:
    message = EmailMessage(policy=SMTP)
    message.add_attachment(b"", maintype="a", subtype="b", filename=name)
    section = HeaderSection(message.as_bytes().partition(b"\r\n\r\n")[2].partition(b"\r\n")[2])
    value = section.first(b"content-disposition")
    assert value is not None
    assert [text.split() for text in read_parameters(value).all("filename")] == [name.split()]


MEMBERS = st.lists(st.tuples(st.text("abc/.", min_size=1, max_size=8), st.binary(max_size=2000)), max_size=5)


@given(MEMBERS, st.booleans(), CUTS)
def test_members_are_found(members: list[tuple[str, bytes]], streamed: bool, cuts: list[int]) -> None:
    unique = dict(members)
    octets, told = archive(*unique.items(), streamed=streamed), Told()
    walk = ZipWalk(told, Budget())
    for piece in pieces(octets, cuts):
        walk.feed(piece)
    found = [(member.name, member.head[:512]) for member in told.told if isinstance(member, Member)]
    assert found == [(name, data[:512]) for name, data in unique.items()]
    assert walk.ended
    directory = read_directory(octets, Budget())
    assert directory is not None
    assert ([member.name for member in directory.members], directory.whole) == (list(unique), True)


@given(MEMBERS, st.integers(0, 5000), st.binary(min_size=1, max_size=8), CUTS)
def test_damaged_archives_raise_nothing(
    members: list[tuple[str, bytes]], at: int, damage: bytes, cuts: list[int]
) -> None:
    octets = bytearray(archive(*dict(members).items()))
    at %= len(octets)
    octets[at : at + len(damage)] = damage
    walk = ZipWalk(Told(), Budget())
    for piece in pieces(bytes(octets), cuts):
        walk.feed(piece)
    read_directory(bytes(octets), Budget())
