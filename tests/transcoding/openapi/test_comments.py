"""Comments are found by the names of what they describe, and keep the form that their writers gave them."""

import pytest

from jobyard_server.transcoding.openapi.comments import Comments
from support.trial import compiled

SOURCE = """
syntax = "proto3";
package shelf.v1;
// Keeps books.
service Books {
  // Finds one.
  //
  // It takes
  // a while:
  //
  //     find(1)
  //     find(2)
  //
  // * now,
  // * or later.
  rpc Find(Book) returns (Book);
}
// A book.
message Book {
  // Its name.
  string name = 1;
  string bare = 2; // beside it
  // Part of a book.
  message Part {
    // Its number.
    int32 number = 1;
  }
  // How it looks.
  enum Cover {
    // Not said.
    COVER_UNSPECIFIED = 0;
  }
}
// Of all.
enum Colour {
  // None.
  COLOUR_UNSPECIFIED = 0;
}
"""


@pytest.fixture(scope="module")
def comments(tmp_path_factory) -> Comments:
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "shelf.proto").write_text(SOURCE)
    return Comments(compiled("shelf.proto", roots=(folder,)).SerializeToString())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shelf.v1.Books", "Keeps books."),
        ("shelf.v1.Book", "A book."),
        ("shelf.v1.Book.name", "Its name."),
        ("shelf.v1.Book.Part", "Part of a book."),
        ("shelf.v1.Book.Part.number", "Its number."),
        ("shelf.v1.Book.Cover", "How it looks."),
        ("shelf.v1.Book.Cover.COVER_UNSPECIFIED", "Not said."),
        ("shelf.v1.Colour", "Of all."),
        ("shelf.v1.Colour.COLOUR_UNSPECIFIED", "None."),
        ("shelf.v1.Book.bare", ""),
        ("shelf.v1.Unheard", ""),
    ],
)
def test_everything_is_found_by_its_name(comments, name, text):
    assert comments.of(name) == text


def test_lines_of_a_paragraph_are_joined_and_everything_else_stays(comments):
    assert comments.of("shelf.v1.Books.Find").split("\n") == [
        "Finds one.",
        "",
        "It takes a while:",
        "",
        "    find(1)",
        "    find(2)",
        "",
        "* now,",
        "* or later.",
    ]
