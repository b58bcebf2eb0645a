"""Where each key of a TOML file stands, so that an error can name its line (tomllib does not tell).

`locate(text)` walks a text that `tomllib` has already accepted, so it need not check anything: it only has to find its
way past strings, comments, arrays and inline tables. Paths are tuples of names and, for elements of arrays, numbers
from 0: `("route", 1, "to", 0)`. Called by `app.config_file`.
"""

from __future__ import annotations

from typing import Final

KeyPath = tuple[str | int, ...]
Lines = dict[KeyPath, int]

_BLANK: Final = " \t"
_BARE_END: Final = " \t\r\n=.]#,}"
_SCALAR_END: Final = ",]}#\r\n"


def locate(text: str) -> Lines:
    """Key path -> line number, from 1."""
    return _Walker(text).walk()


def line_of(lines: Lines, path: KeyPath) -> int:
    """The line of `path`, or of the nearest table around it; 0 if there is none."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


class _Walker:
    def __init__(self, text: str) -> None:
        self._text = text + "\n"
        self._at = 0
        self._line = 1
        self._counted = 0
        self._lines: Lines = {}
        self._array_tables: dict[KeyPath, int] = {}

    def walk(self) -> Lines:
        table: KeyPath = ()
        self._skip(newlines=True)
        while self._at < len(self._text):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(newlines=True)
        return self._lines

    def _header(self) -> KeyPath:
        line = self._here()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        names = self._dotted_key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for number, name in enumerate(names):
            path = (*path, name)
            if is_array and number == len(names) - 1:
                self._array_tables[path] = self._array_tables.get(path, -1) + 1
                self._lines.setdefault(path, line)
            if path in self._array_tables:
                path = (*path, self._array_tables[path])
        self._lines.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._here()
        path = (*table, *self._dotted_key())
        for length in range(len(table) + 1, len(path) + 1):
            self._lines.setdefault(path[:length], line)
        self._skip()
        self._at += 1  # the equals sign
        self._skip()
        self._value(path)

    def _dotted_key(self) -> list[str]:
        names = []
        while True:
            self._skip()
            names.append(self._name())
            self._skip()
            if self._peek() != ".":
                return names
            self._at += 1

    def _name(self) -> str:
        start = self._at
        if self._peek() in "\"'":
            self._string()
            return self._text[start + 1 : self._at - 1]
        while self._peek() not in _BARE_END:
            self._at += 1
        return self._text[start : self._at]

    def _value(self, path: KeyPath) -> None:
        first = self._peek()
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            while self._peek() not in _SCALAR_END:
                self._at += 1

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        self._skip(newlines=True)
        while self._peek() != "]":
            self._lines[(*path, index)] = self._here()
            self._value((*path, index))
            index += 1
            self._skip(newlines=True)
            if self._peek() == ",":
                self._at += 1
                self._skip(newlines=True)
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        self._skip(newlines=True)
        while self._peek() != "}":
            self._pair(path)
            self._skip(newlines=True)
            if self._peek() == ",":
                self._at += 1
                self._skip(newlines=True)
        self._at += 1

    def _string(self) -> None:
        quote = self._peek()
        delimiter = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(delimiter)
        while not self._text.startswith(delimiter, self._at):
            self._at += 2 if quote == '"' and self._peek() == "\\" else 1
        self._at += len(delimiter)
        while len(delimiter) == 3 and self._peek() == quote:  # up to two quotes may stand before the closing three
            self._at += 1

    def _skip(self, *, newlines: bool = False) -> None:
        """Past blanks; with `newlines` past line ends and comments too."""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "#" and newlines:
                self._at = self._text.index("\n", self._at)
            elif character in _BLANK or (newlines and character in "\r\n"):
                self._at += 1
            else:
                return

    def _peek(self) -> str:
        return self._text[self._at]

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
