// Two places in one text: what is typed at one does not move the other. Takes the
// directory of the store as its only argument.

#include <iostream>

#include "weft/store.h"
#include "weft/text.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto store = weft::Store::Open(argv[1]);
  if (!store.ok()) return std::cerr << store.status() << '\n', 3;
  auto notes = store->CreateBase({.name = "notes"});
  if (!notes.ok()) return std::cerr << notes.status() << '\n', 3;

  weft::Text letter(*notes, "letter");
  if (!letter.Append("Dear Ada,\nyours, Bob\n").ok()) return 3;
  const auto signature = letter.CursorAt(10);  // after the first line
  if (!signature.ok()) return std::cerr << signature.status() << '\n', 3;
  if (!letter.Insert(8, " and Cleo").ok()) return 3;  // positions count characters
  const auto position = letter.PositionOf(*signature);
  if (!position.ok()) return std::cerr << position.status() << '\n', 3;
  if (!letter.Insert(*position, "come for tea.\n").ok()) return 3;
  std::cout << letter.Read().value_or("");

  weft::Batch tea;  // one commit of several lanes
  tea.Increment("cups", 3);
  tea.Add("guests", weft::Datum::Of("Cleo"));
  tea.InsertText("letter", 0, "Friday\n");
  if (!notes->Commit(tea).ok()) return 3;
  std::cout << notes->Get("cups")->lanes.counter->value << " cups\n";
}
