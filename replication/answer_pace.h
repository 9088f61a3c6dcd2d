// How fast one peer answers: what a request takes, what an answer takes while several
// are under way, and how long silence means no more than that.
//
// A value; time comes in from outside.

#pragma once

#include <algorithm>

#include "engine/host.h"

namespace weft {

class AnswerPace {
 public:
  // Before anything is known, and at most (attack 28).
  static constexpr Nanos kPatienceMax = std::chrono::seconds(10);
  static constexpr Nanos kPatienceMin = std::chrono::seconds(2);

  // The first request after a time without any.
  void OnBusy(Nanos now) { since_ = now; }

  void OnAnswer(Nanos now, Nanos sent_at) {
    busy_ += now - since_;
    ++answers_;
    if (answers_ >= kRemembered) {
      busy_ /= 2;
      answers_ /= 2;
    }
    // Answers that arrive together took the same time: one of them is counted.
    if (now != since_ || smoothed_ == Nanos(0)) Measure(now - sent_at);
    since_ = now;
    patience_doublings_ = 0;
  }

  void OnTimeout(Nanos now) {
    since_ = now;
    patience_doublings_ = std::min(patience_doublings_ + 1, 3);
  }

  // 0: nothing was answered yet.
  Nanos per_answer() const { return answers_ == 0 ? Nanos(0) : busy_ / answers_; }
  Nanos quiet(Nanos now) const { return now - since_; }
  // How long to wait for the next answer.
  Nanos patience() const {
    if (smoothed_ == Nanos(0)) return kPatienceMax;
    const Nanos usual = 2 * (smoothed_ + 4 * deviation_);
    return std::min(std::clamp(usual, kPatienceMin, kPatienceMax) *
                        (Nanos::rep{1} << patience_doublings_),
                    kPatienceMax);
  }

 private:
  static constexpr Nanos::rep kRemembered = 64;

  // Smoothed as a retransmission timer is: RFC 6298.
  void Measure(Nanos took) {
    if (smoothed_ == Nanos(0)) {
      smoothed_ = std::max(took, Nanos(1));
      deviation_ = took / 2;
      return;
    }
    const Nanos off = took > smoothed_ ? took - smoothed_ : smoothed_ - took;
    deviation_ += (off - deviation_) / 4;
    smoothed_ += (took - smoothed_) / 8;
    smoothed_ = std::max(smoothed_, Nanos(1));
  }

  Nanos since_{};  // the last answer, or the begin of the requests under way
  Nanos busy_{};
  Nanos::rep answers_ = 0;
  Nanos smoothed_{};
  Nanos deviation_{};
  int patience_doublings_ = 0;
};

}  // namespace weft
