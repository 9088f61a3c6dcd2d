// Two ends of a stream in memory, on one strand: what one writes the other reads, in
// the same pieces, without delay.

#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "engine/async_host.h"
#include "engine/signal.h"

namespace weft::sim {

class PipeWire final : public Wire {
 public:
  static std::pair<std::unique_ptr<PipeWire>, std::unique_ptr<PipeWire>> MakePair() {
    auto there = std::make_shared<Direction>();
    auto back = std::make_shared<Direction>();
    return {std::unique_ptr<PipeWire>(new PipeWire(there, back)),
            std::unique_ptr<PipeWire>(new PipeWire(back, there))};
  }
  ~PipeWire() override { Close(); }

  Task<absl::StatusOr<Bytes>> Read() override {
    const std::shared_ptr<Direction> in = in_;
    while (in->pieces.empty() && !in->ended) co_await in->changed.Wait();
    if (in->pieces.empty()) co_return Bytes();
    Bytes piece = std::move(in->pieces.front());
    in->pieces.pop_front();
    co_return piece;
  }
  Task<absl::Status> Write(Bytes bytes) override {
    if (out_->ended) co_return absl::UnavailableError("the pipe is closed");
    out_->pieces.push_back(std::move(bytes));
    out_->changed.Notify();
    co_return absl::OkStatus();
  }
  void Close() override {
    for (const auto& direction : {in_, out_}) {
      direction->ended = true;
      direction->changed.Notify();
    }
  }
  std::string peer() const override { return "pipe"; }

 private:
  struct Direction {
    std::deque<Bytes> pieces;
    bool ended = false;
    Signal changed;
  };
  PipeWire(std::shared_ptr<Direction> in, std::shared_ptr<Direction> out)
      : in_(std::move(in)), out_(std::move(out)) {}

  std::shared_ptr<Direction> in_;
  std::shared_ptr<Direction> out_;
};

}  // namespace weft::sim
