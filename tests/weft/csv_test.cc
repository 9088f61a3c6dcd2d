// Reading tables from files: what is accepted, and the one line each fault gets.

#include "apps/weft/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/weft/table_file.h"

namespace weft::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

absl::StatusOr<Rows> Read(std::string_view text, CsvDialect dialect = {}) {
  CsvReader reader(text, dialect);
  Rows rows;
  CsvRow row;
  for (;;) {
    const auto more = reader.Next(row);
    if (!more.ok()) return more.status();
    if (!*more) return rows;
    rows.push_back(row.fields);
  }
}

std::string FaultOf(const absl::StatusOr<Rows>& rows) {
  return std::string(rows.status().message());
}

std::string FaultOfTable(std::string_view text, std::string_view key = "",
                         TableFormat format = TableFormat::kCsv) {
  return std::string(CheckTable(text, format, "t", key).status().message());
}

std::vector<TableRow> RowsOf(std::string_view text, TableFormat format,
                             std::string_view key = "") {
  std::vector<TableRow> rows;
  auto reader = TableReader::Open(text, format, "t", key);
  EXPECT_TRUE(reader.ok()) << reader.status();
  for (TableRow row; reader.ok();) {
    const absl::StatusOr<bool> more = (*reader)->Next(row);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) break;
    rows.push_back(row);
  }
  return rows;
}

TEST(Csv, ARowIsFieldsBetweenCommas) {
  EXPECT_EQ(*Read("a,b\n1,2\n"), (Rows{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(*Read("a,b\r\n1,\r\n"), (Rows{{"a", "b"}, {"1", ""}}));
  EXPECT_EQ(*Read("last line without an end"), (Rows{{"last line without an end"}}));
  EXPECT_EQ(*Read(""), Rows{});
}

TEST(Csv, QuotesHoldCommasQuotesAndLines) {
  EXPECT_EQ(*Read("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n"),
            (Rows{{"a,b", "say \"hi\"", "two\nlines"}}));
  EXPECT_EQ(*Read("\"\",x\n"), (Rows{{"", "x"}}));
}

TEST(Csv, AByteOrderMarkAndBlankLinesAtTheEndCountForNothing) {
  EXPECT_EQ(*Read("\xef\xbb\xbf"
                  "a\n1\n\n\r\n"),
            (Rows{{"a"}, {"1"}}));
}

TEST(Csv, AFaultNamesItsLine) {
  EXPECT_EQ(FaultOf(Read("a\n\"open")), "line 2: a quote that is never closed");
  EXPECT_EQ(FaultOf(Read("a\n\n\"x\"y\n")),
            "line 3: text after the closing quote of a field");
  EXPECT_EQ(FaultOf(Read("x\"y\n")),
            "line 1: a quote inside a field that does not begin with one");
  EXPECT_EQ(FaultOf(Read("a\rb\n")), "line 1: a carriage return without a line feed");
}

TEST(Csv, TabSeparatedTextHasNoQuotes) {
  EXPECT_EQ(*Read("a\t\"b\"\n", kTabs), (Rows{{"a", "\"b\""}}));
}

TEST(Csv, AFieldIsReadBackAsItWasWritten) {
  const std::vector<std::string> fields{"plain",      "",         "a,b",   "\"q\"",
                                        "two\nlines", " spaced ", "cr\r\n"};
  std::string text;
  for (const std::string& field : fields)
    text += (text.empty() ? "" : ",") + CsvField(field);
  EXPECT_EQ(*Read(text + "\n"), Rows{fields});
}

TEST(Csv, NothingBetweenTwoCommasIsNotAnEmptyText) {
  CsvReader reader("a,,\"\"\n");
  CsvRow row;
  ASSERT_TRUE(*reader.Next(row));
  EXPECT_THAT(row.fields, ElementsAre("a", "", ""));
  EXPECT_THAT(row.quoted, ElementsAre(false, false, true));
  EXPECT_EQ(CsvField(""), "\"\"");
}

TEST(TableFile, AnEmptyFieldIsNoCellAndAKeyWithoutANameIsNone) {
  const std::vector<TableRow> rows = RowsOf(",a,b\n7,,\"\"\n", TableFormat::kCsv);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].key, "7");
  EXPECT_THAT(rows[0].cells, ElementsAre(std::pair("b", Datum::Of(""))));
  EXPECT_THAT(rows[0].empty, ElementsAre("a"));
  const std::vector<TableRow> objects =
      RowsOf("{\"\":\"7\",\"a\":1}\n{\"a\":2,\"\":\"8\"}\n", TableFormat::kNdjson);
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[1].key, "8");
  EXPECT_THAT(objects[1].cells, ElementsAre(std::pair("a", Datum::Integer(2))));
}

TEST(TableFile, ARowIsKeyedByItsFirstColumnOrByTheOneNamed) {
  const std::vector<TableRow> first = RowsOf("id,name\n7,Ada\n", TableFormat::kCsv);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].key, "7");
  EXPECT_THAT(first[0].cells, ElementsAre(std::pair("id", Datum::Of("7")),
                                          std::pair("name", Datum::Of("Ada"))));
  EXPECT_EQ(RowsOf("id,name\n7,Ada\n", TableFormat::kCsv, "name")[0].key, "Ada");
}

TEST(TableFile, EveryFaultOfAFileIsOneLineWithItsPlace) {
  EXPECT_EQ(FaultOfTable("a,b\n1,2\n3\n"), "line 3: 1 fields where the header has 2");
  EXPECT_EQ(FaultOfTable("a,b\n1,\xff\n"), "line 2: not UTF-8");
  EXPECT_EQ(FaultOfTable("a,a\n1,2\n"), "line 1: the column 'a' is there twice");
  EXPECT_EQ(FaultOfTable("a,\n1,2\n"), "line 1: a column has no name");
  EXPECT_EQ(FaultOfTable("a,b\n1,2\n", "id"),
            "line 1: there is no column 'id' to be the key");
  EXPECT_EQ(FaultOfTable("a,b\n,2\n"), "line 2: the key column is empty");
  EXPECT_EQ(FaultOfTable("a,b\n1,2\n2,2\n1,3\n"),
            "line 4: the key '1' is on line 2 already");
  EXPECT_EQ(FaultOfTable(""), "line 1: there is no header");
  EXPECT_EQ(FaultOfTable("a,b\n"), "line 1: there are no rows");
  EXPECT_THAT(FaultOfTable("a\n" + std::string(1023, 'x') + "\n"),
              HasSubstr("line 2: the key has 1025 bytes"));
  EXPECT_THAT(FaultOfTable("a," + std::string(129, 'c') + "\n1,2\n"),
              HasSubstr("has a name of 129 bytes; at most 128"));
  EXPECT_THAT(FaultOfTable("a,b\n1," + std::string(256 * 1024 + 1, 'v') + "\n"),
              HasSubstr("line 2: the column 'b' has a value of 262145 bytes"));
}

TEST(TableFile, ARowOverSeveralLinesIsNamedByItsFirst) {
  EXPECT_EQ(FaultOfTable("a,b\n\"1\n1\",2\n3\n"),
            "line 4: 1 fields where the header has 2");
}

TEST(TableFile, NdjsonKeepsTypesAndMayLackColumns) {
  const std::vector<TableRow> rows =
      RowsOf("{\"id\":1,\"open\":true,\"x\":0.5}\n{\"id\":2,\"note\":null}\n",
             TableFormat::kNdjson);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].key, "1");
  EXPECT_THAT(rows[0].cells, ElementsAre(std::pair("id", Datum::Integer(1)),
                                         std::pair("open", Datum::Bool(true)),
                                         std::pair("x", Datum::Real(0.5))));
  EXPECT_THAT(rows[1].cells, ElementsAre(std::pair("id", Datum::Integer(2)),
                                         std::pair("note", Datum::Null())));
}

TEST(TableFile, NdjsonFaultsNameTheirLine) {
  const auto fault = [](std::string_view text, std::string_view key = "") {
    return FaultOfTable(text, key, TableFormat::kNdjson);
  };
  EXPECT_EQ(fault("{\"a\":1}\n{\n"), "line 2: not JSON");
  EXPECT_EQ(fault("[1]\n"), "line 1: not a JSON object");
  EXPECT_EQ(fault("{\"a\":1,\"a\":2}\n"), "line 1: the member \"a\" is there twice");
  EXPECT_EQ(fault("{\"a\":1}\n\n{\"b\":2}\n"),
            "line 3: there is no member 'a' to be the key");
  EXPECT_EQ(fault("{\"a\":[1]}\n"), "line 1: 'a': a value is a list or an object");
  EXPECT_EQ(fault("{\"a\":9223372036854775808}\n"),
            "line 1: 'a': 9223372036854775808 is above the largest integer, "
            "9223372036854775807");
  // The library would take these for reals, which are other numbers.
  EXPECT_EQ(fault("{\"a\":1}\n{\"a\":18446744073709551616}\n"),
            "line 2: 18446744073709551616 is above the largest integer, "
            "9223372036854775807");
  EXPECT_EQ(fault("{\"a\":-9223372036854775809}\n"),
            "line 1: -9223372036854775809 is below the smallest integer, "
            "-9223372036854775808");
  EXPECT_EQ(fault("{\"a\":1e999}\n"), "line 1: 1e999 is larger than any real");
  EXPECT_EQ(RowsOf("{\"a\":\"\\\"18446744073709551616\",\"b\":1e-999}\n",
                   TableFormat::kNdjson)[0]
                .cells[1]
                .second,
            Datum::Real(0));
}

TEST(TableFile, ARowThatNoBlockCanHoldIsAFaultAndIsNotKept) {
  EXPECT_EQ(FaultOfTable("a\n\"" + std::string(2 * kRowBytesMax, 'x')),
            "line 2: the row is longer than 1 MiB");
  std::string row = "{\"id\":1";
  for (int i = 0; i < 5; ++i) {
    row += ",\"c" + std::to_string(i) + "\":\"" + std::string(250'000, 'x') + "\"";
  }
  EXPECT_THAT(FaultOfTable(row + "}\n", "", TableFormat::kNdjson),
              HasSubstr("line 1: the row has 1250"));
}

// Memory for 64 keys and 3 000 of them: many passes, and the one that is there twice is
// found wherever its hash falls.
TEST(TableFile, KeysThatAreThereTwiceAreFoundInMemoryThatDoesNotGrow) {
  std::string text = "id\n";
  for (int i = 0; i < 3000; ++i) text += std::to_string(i) + "\n";
  const auto check = CheckTable(text, TableFormat::kCsv, "t", "", 64);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->rows, 3000u);
  for (const int twice : {0, 17, 1500, 2999}) {
    const std::string more = text + std::to_string(twice) + "\n";
    EXPECT_EQ(CheckTable(more, TableFormat::kCsv, "t", "", 64).status().message(),
              "line 3002: the key '" + std::to_string(twice) + "' is on line " +
                  std::to_string(twice + 2) + " already");
  }
}

}  // namespace
}  // namespace weft::cli
