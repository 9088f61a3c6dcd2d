// The smallest whole program: one store, one base, a value, a row, a scan. The README
// shows this file. Takes the directory of the store as its only argument.

#include <iostream>

#include "weft/store.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto store = weft::Store::Open(argv[1]);
  if (!store.ok()) return std::cerr << store.status() << '\n', 3;
  auto notes = store->CreateBase({.name = "notes"});
  if (!notes.ok()) return std::cerr << notes.status() << '\n', 3;

  if (!notes->Put("todo/1", "milk").ok()) return 3;  // durable when it returns
  weft::Batch batch;                                 // all of it or none of it
  batch.Put("todo/2", "bread");
  batch.Set("people/ada", {{"city", weft::Datum::Of("London")}});
  if (!notes->Commit(batch).ok()) return 3;

  for (const weft::Entry& entry : notes->Scan(weft::Prefix("todo/"))) {
    std::cout << entry.key << " = " << entry.value->winner.value.ToText() << '\n';
  }
  std::cout << "others join with " << notes->link() << '\n';
}
