#include "replication/upload_budget.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

// Beyond the budget, before anybody is shed: small messages of many peers, and a single
// block that is larger than the whole budget.
constexpr std::size_t kSlackBytesMin = 16 * 1024 * 1024;

}  // namespace

UploadBudget::UploadBudget(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      memory_(std::make_shared<Budget>(bytes_max +
                                       std::max(bytes_max / 4, kSlackBytesMin))) {}

UploadBudget::Share::Share(std::shared_ptr<UploadBudget> budget,
                           std::function<void()> room, std::function<void()> shed)
    : budget_(std::move(budget)),
      room_(std::move(room)),
      memory_(budget_->memory_, std::move(shed)) {
  budget_->shares_.insert(this);
}

UploadBudget::Share::~Share() {
  memory_.Set(0);
  budget_->shares_.erase(this);
  budget_->line_.remove(this);
  budget_->CallFirst();
}

void UploadBudget::Share::Set(std::size_t bytes) {
  const bool shrank = bytes < memory_.bytes();
  memory_.Set(bytes);
  if (shrank) budget_->CallFirst();
}

bool UploadBudget::Share::Take(std::size_t bytes) {
  if (memory_.bytes() + bytes <= kAlwaysBytes) return true;
  std::list<Share*>& line = budget_->line_;
  const bool is_first = line.empty() || line.front() == this;
  if (is_first && budget_->Fits(*this, bytes)) {
    // Who is first stays it until the largest of its answers is out.
    if (bytes >= wanted_) Leave();
    return true;
  }
  if (wanted_ == 0) line.push_back(this);
  wanted_ = std::max(wanted_, bytes);
  return false;
}

void UploadBudget::Share::Leave() {
  if (std::exchange(wanted_, 0) == 0) return;
  const bool was_first = budget_->line_.front() == this;
  budget_->line_.remove(this);
  if (was_first) budget_->CallFirst();
}

bool UploadBudget::Fits(const Share& share, std::size_t bytes) const {
  if (bytes <= bytes_max_) return this->bytes() + bytes <= bytes_max_;
  // Such a one goes out alone, or never.
  return std::ranges::all_of(shares_, [&share](const Share* other) {
    return other == &share || other->bytes() <= kAlwaysBytes;
  });
}

void UploadBudget::CallFirst() {
  if (line_.empty()) return;
  Share* const first = line_.front();
  if (Fits(*first, first->wanted_)) first->room_();
}

}  // namespace weft
