// Whether a verdict of ours would change anything, asked before it is written: one that
// changes nothing is no use to anybody and stays in a log for ever.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "crdt/indexer_state.h"
#include "engine/bytes.h"

namespace weft {
namespace {

using Effect = Authority::Effect;

// The best of several: one change is enough.
void Improve(std::optional<Effect>* best, Effect effect) {
  if (!*best || effect == Effect::kSome || **best == Effect::kNone) *best = effect;
}

class EffectFinder {
 public:
  EffectFinder(const Indexer::State* state, const Grant* by) : state_(state), by_(by) {}

  absl::Status OfVerdict(const VerdictOp& verdict) const {
    const std::optional<WriterNumber> number =
        state_->view->writers().Find(verdict.log);
    // That there are no such blocks the author says.
    if (!number || verdict.to > state_->graph->length(*number)) return absl::OkStatus();
    std::optional<Effect> best;
    for (std::uint64_t at = verdict.from; at < verdict.to;) {
      const BlockRecord record = state_->graph->RecordOf(*number, at);
      const std::uint64_t first = at - std::min<std::uint64_t>(at, record.batch_index);
      const std::uint64_t end = first + record.batch_count;
      at = std::max(at + 1, end);
      const bool whole = first >= verdict.from && end <= verdict.to;
      if (record.status != BlockStatus::kSound || record.batch_count == 0 || !whole) {
        continue;
      }
      Improve(&best,
              state_->authority->EffectOn(verdict.type, *by_, record.cited, verdict.log,
                                          first, end, record.batch_writes));
      if (best == Effect::kSome) return absl::OkStatus();
    }
    const std::string where = absl::StrFormat(
        "blocks %d..%d of %s", verdict.from, verdict.to, ToZBase32(verdict.log.view()));
    if (best == Effect::kOverruled) return Overruled(where);
    return absl::NotFoundError(absl::StrFormat(
        "%s: no whole commit there %s", where,
        verdict.type == AuthOpType::kAdmit    ? "is held back by a removal"
        : verdict.type == AuthOpType::kAccept ? "waits to be accepted"
                                              : "waits to be rejected"));
  }

  absl::Status OfHide(const HideOp& hide) const {
    return hide.ops.empty() ? OfRange(hide) : OfOps(hide);
  }

 private:
  static absl::Status Overruled(const std::string& where) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s: who wrote that, or decided on it, is not junior to us", where));
  }

  Effect OfOp(bool hide, const BlockRecord& record, const OpId& op,
              std::string_view prefix) const {
    if (record.auth || op.op_index >= record.op_count) return Effect::kNone;
    const auto row = state_->ops->Read(record.first_arrival + op.op_index);
    if (!row.ok() || !row->second.starts_with(prefix)) return Effect::kNone;
    return state_->authority->EffectOnOp(hide, *by_, record.cited, op, row->second);
  }

  absl::Status OfOps(const HideOp& hide) const {
    std::optional<Effect> best;
    for (const OpId& op : hide.ops) {
      const std::optional<WriterNumber> number =
          state_->view->writers().Find(op.writer);
      if (!number || op.position >= state_->graph->length(*number)) {
        return absl::OkStatus();  // the author says so
      }
      const BlockRecord record = state_->graph->RecordOf(*number, op.position);
      const Effect effect = OfOp(hide.hide, record, op, "");
      if (effect == Effect::kOverruled) return Overruled(ToText(op));
      Improve(&best, effect);
    }
    if (best == Effect::kSome) return absl::OkStatus();
    return absl::NotFoundError(absl::StrFormat(
        "%s: %s", ToText(hide.ops.front()),
        hide.hide ? "is hidden already, or no change to a key" : "is not hidden"));
  }

  absl::Status OfRange(const HideOp& hide) const {
    const std::optional<WriterNumber> number = state_->view->writers().Find(hide.log);
    // Of others' logs the author says so; nobody names his own.
    if (!number || hide.to > state_->graph->length(*number)) {
      return absl::NotFoundError(absl::StrFormat("log %s has no %d blocks here",
                                                 ToZBase32(hide.log.view()), hide.to));
    }
    std::optional<Effect> best;
    for (std::uint64_t position = hide.from; position < hide.to; ++position) {
      const BlockRecord record = state_->graph->RecordOf(*number, position);
      if (record.status != BlockStatus::kSound) continue;
      for (std::uint32_t index = 0; index < record.op_count; ++index) {
        Improve(&best, OfOp(hide.hide, record, {hide.log, position, index},
                            AsText(hide.prefix)));
        if (best == Effect::kSome) return absl::OkStatus();
      }
    }
    const std::string where = absl::StrFormat("blocks %d..%d of %s", hide.from, hide.to,
                                              ToZBase32(hide.log.view()));
    if (best == Effect::kOverruled) return Overruled(where);
    return absl::NotFoundError(absl::StrFormat(
        "%s: there is nothing to hide, or it is hidden already", where));
  }

  const Indexer::State* state_;  // not owned
  const Grant* by_;
};

}  // namespace

absl::Status Indexer::CheckEffect(const CoreKey& self,
                                  const AuthOperation& operation) const {
  const auto* const verdict = std::get_if<VerdictOp>(&operation);
  const auto* const hide = std::get_if<HideOp>(&operation);
  if (verdict == nullptr && hide == nullptr) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const Grant* const by,
                        state_->authority->ChooseGrant(self, std::span(&operation, 1)));
  const EffectFinder finder(state_.get(), by);
  return verdict != nullptr ? finder.OfVerdict(*verdict) : finder.OfHide(*hide);
}

}  // namespace weft
