// A Base is one shared database: everyone writes to their own log, and the merged
// view of all logs is read here.
//
// A handle, cheap to copy; the store stays open while one lives. Thread-safe. Every
// write is durable and visible to the next read when its call returns. Errors of the
// caller are INVALID_ARGUMENT, missing rights PERMISSION_DENIED, a full disk
// RESOURCE_EXHAUSTED; after these nothing of the call was written. After any other
// error of the disk the base stops: what was asked may or may not be there when it is
// opened again, and no peer has heard of it.

#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/authority.h"
#include "weft/types.h"

namespace weft {

class BaseImpl;

// Entries of one snapshot in key order; what is committed meanwhile is not in it.
// Usable from any one thread at a time.
class Entries {
 public:
  class Source;
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry*;
    using reference = const Entry&;

    explicit Iterator(Entries* entries) : entries_(entries) {}
    const Entry& operator*() const { return *entries_->current_; }
    const Entry* operator->() const { return &*entries_->current_; }
    Iterator& operator++() {
      entries_->Advance();
      if (!entries_->current_) entries_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(const Iterator&) const = default;

   private:
    Entries* entries_;  // null at the end
  };

  explicit Entries(std::shared_ptr<Source> source);
  // One pass only: a second begin() goes on where the first stopped.
  Iterator begin() { return Iterator(current_ ? this : nullptr); }
  Iterator end() { return Iterator(nullptr); }
  // Not OK if the walk ended early; the entries seen are right all the same.
  absl::Status status() const;

 private:
  void Advance();

  std::shared_ptr<Source> source_;
  std::optional<Entry> current_;
};

class Base {
 public:
  explicit Base(std::shared_ptr<BaseImpl> impl) : impl_(std::move(impl)) {}

  std::string name() const;
  std::string id() const;
  std::string link() const;      // weft://..., the key to reading: share it with care
  std::string identity() const;  // ours in this base

  // --- writing ---
  // Durable when it returns. A key has 1 to 1 024 bytes, a column's name 1 to 128, a
  // value at most 256 KiB, a record 1 024 cells, a commit 64 MiB; beyond that, and for
  // a commit of nothing, INVALID_ARGUMENT, and nothing is written. For all of them:
  // PERMISSION_DENIED    we hold no grant for that
  // FAILED_PRECONDITION  the base's genesis has not come yet
  // RESOURCE_EXHAUSTED   the disk is full;  UNAVAILABLE, DATA_LOSS  the disk, else.
  //                      What the log had already may stand: the message says so.
  absl::StatusOr<OpName> Put(std::string_view key, const Datum& value);
  absl::StatusOr<OpName> Put(std::string_view key, std::string_view value) {
    return Put(key, Datum::Of(value));
  }
  // A literal 0 would be a string at no address; Datum::Of(0) is the number.
  absl::StatusOr<OpName> Put(std::string_view key, std::nullptr_t) = delete;
  // NOT_FOUND  there is nothing to delete
  absl::StatusOr<OpName> Delete(std::string_view key);
  absl::StatusOr<OpName> Set(std::string_view table_key,
                             std::vector<std::pair<std::string, Datum>> cells);
  // NOT_FOUND  none of the cells is set
  absl::StatusOr<OpName> Unset(std::string_view table_key,
                               std::vector<std::string> columns);
  absl::StatusOr<OpName> Erase(std::string_view table_key);
  // All of it or nothing.
  // NOT_FOUND     it deletes or erases what is not there, or unsets cells of no row
  // OUT_OF_RANGE  a position beyond the end of a text or list
  absl::StatusOr<Committed> Commit(const Batch& batch);

  // --- reading ---
  // NOT_FOUND  nothing is readable at the key
  absl::StatusOr<Entry> Get(std::string_view key) const;
  Entries Scan(const Range& range) const;
  // Only the entries that have conflicts.
  Entries Conflicts(const Range& range = All()) const;
  // Calls back with the keys in the range that read differently than when it was last
  // called, on a thread of its own and never under a lock: once for each commit or
  // arrival, unless the callback is slower than those, which it then hears of as one.
  // It may use the base. Stops when the returned handle is destroyed, which waits for a
  // call that is running; where the store calls back (Store::OnEvent), soon after. An
  // empty callback watches nothing.
  [[nodiscard]] std::shared_ptr<void> Watch(
      const Range& range, std::function<void(const std::vector<Change>&)> callback);

  // --- members ---
  // `identity` is what join printed. An admin may be let make admins and moderators
  // too. PERMISSION_DENIED  we may not grant that (any role but founder can be granted)
  absl::StatusOr<OpName> Grant(std::string_view identity, Role role,
                               std::string_view scope = "", bool may_delegate = false);
  std::vector<Member> Members() const;
  // A link that lets whoever holds it join through any member: as secret as it is
  // powerful.
  absl::StatusOr<std::string> Invite(const InviteOptions& options = {});
  // Carries the redemption of an invite for an identity into our log; any member may,
  // once. `invite` is the link.
  // NOT_FOUND           there is no such invite;  INVALID_ARGUMENT  not an invite
  // PERMISSION_DENIED   it is used up or revoked
  // ALREADY_EXISTS      it let the same identity in before
  absl::StatusOr<OpName> Redeem(std::string_view invite, std::string_view identity);
  // Who asks to be let in; Approve grants, and forgets the request.
  std::vector<JoinRequest> Requests() const;
  absl::StatusOr<OpName> Approve(std::string_view identity, Role role,
                                 std::string_view scope = "");
  // `who` is an identity (all of its grants below ours, or our own), the op of one
  // grant or invite, or an invite's link. What Revoke would do, and doing it.
  // NOT_FOUND  there is no such grant;  PERMISSION_DENIED  it is not below ours
  absl::StatusOr<RevokePlan> PlanRevoke(std::string_view who,
                                        const RevokeOptions& options = {}) const;
  absl::StatusOr<OpName> Revoke(std::string_view who,
                                const RevokeOptions& options = {});

  // --- moderation ---
  // What is here and has no effect, or is hidden, by log; at most `max` ranges.
  std::vector<HeldBackWrites> HeldBack(std::size_t max = 1000) const;
  // A verdict that would change nothing is not written.
  // NOT_FOUND          what it speaks of is as it says already, or waits for nothing
  // PERMISSION_DENIED  we may not, or the author, or who decided before, is no junior
  //
  // Whole commits in blocks [from, to) of a writer's log: of moderated members shown or
  // refused, of removed ones taken back in (by an admin).
  absl::StatusOr<OpName> Accept(std::string_view writer, std::uint64_t from,
                                std::uint64_t to);
  absl::StatusOr<OpName> Reject(std::string_view writer, std::uint64_t from,
                                std::uint64_t to);
  absl::StatusOr<OpName> Admit(std::string_view writer, std::uint64_t from,
                               std::uint64_t to);
  // Single changes, whosesoever grant is below ours.
  absl::StatusOr<OpName> Hide(const std::vector<OpName>& ops);
  absl::StatusOr<OpName> Unhide(const std::vector<OpName>& ops);
  // Hides what a writer wrote in blocks [from, to) on keys with this prefix.
  absl::StatusOr<OpName> Rollback(std::string_view writer, std::uint64_t from,
                                  std::uint64_t to, std::string_view prefix = "");

  // --- recovery ---
  // What we wrote and lost since: in a log that forked, because a store was copied or
  // set back unseen, or under a grant that was revoked. Reads our logs from the start.
  // What was written again, by this store or another copy of it whose log is here, is
  // not listed; what cannot be (HeldBackWrites::left) is for as long as it is lost.
  absl::StatusOr<std::vector<HeldBackWrites>> Recoverable() const;
  // Writes all of it again, commit by commit, in the log that we write to now: as
  // changes of now, which win over what was written meanwhile to the same keys. What
  // may not be written again is passed over (Recovered::refused). To be called again
  // after an error or a crash: nothing is written twice.
  // PERMISSION_DENIED  we may not write at all
  absl::StatusOr<Recovered> Recover();

  // --- acknowledgement ---
  // Waits until at least `peers` peers have said that the first `length` blocks of the
  // writer's log are on their disks for good. What was said before counts, also in an
  // earlier run. A peer is the key it shows on the wire; one that is no Weft never
  // says so. `writer` is an identity as Commit and Members give it; ours is
  // identity().
  // DEADLINE_EXCEEDED    fewer have said so until now
  // INVALID_ARGUMENT     not an identity
  // FAILED_PRECONDITION  called back by the store, which would wait for itself
  absl::Status WaitAcked(std::string_view writer, std::uint64_t length,
                         std::size_t peers, std::chrono::milliseconds timeout);

  // What may pass of the base's logs, beside the rules of the store; absent: no rule of
  // its own. A base of which nothing may pass is not spoken of on new connections.
  // Not kept when the store is closed.  INVALID_ARGUMENT  a key of the list is none
  absl::Status SetRule(const std::optional<ReplicationRule>& rule);

  // --- checking ---
  absl::StatusOr<RootInfo> Root() const;
  absl::StatusOr<Fate> FateOf(const OpName& op) const;
  // What blocks [from, to) of a writer's log say, with effect or without: what a
  // moderator looks at before he accepts. At most 64 blocks are read at a time.
  // NOT_FOUND  no such log is followed here;  INVALID_ARGUMENT  not a writer
  absl::StatusOr<LogPage> ReadLog(std::string_view writer, std::uint64_t from,
                                  std::uint64_t to = UINT64_MAX) const;
  BaseStatus Status() const;
  // Recomputes the view from the logs and compares.  DATA_LOSS  they differ
  absl::Status Verify() const;

 private:
  friend class Text;
  std::shared_ptr<BaseImpl> impl_;
};

}  // namespace weft
