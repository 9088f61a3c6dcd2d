#include "replication/budget.h"

#include <utility>

namespace weft {

Budget::Share::Share(std::shared_ptr<Budget> budget, std::function<void()> shed)
    : budget_(std::move(budget)), shed_(std::move(shed)), id_(budget_->next_id_++) {
  budget_->shares_.emplace(id_, this);
}

Budget::Share::~Share() {
  budget_->bytes_ -= bytes_;
  if (shedding_) budget_->shedding_bytes_ -= bytes_;
  budget_->shares_.erase(id_);
}

void Budget::Share::Set(std::size_t bytes) {
  budget_->bytes_ = budget_->bytes_ - bytes_ + bytes;
  if (shedding_) {
    budget_->shedding_bytes_ = budget_->shedding_bytes_ - bytes_ + bytes;
  }
  const bool grew = bytes > bytes_;
  bytes_ = bytes;
  if (grew) budget_->Shed();
}

void Budget::Shed() {
  while (bytes_ - shedding_bytes_ > bytes_max_) {
    Share* largest = nullptr;
    for (const auto& [id, share] : shares_) {
      if (share->shedding_) continue;
      if (largest == nullptr || share->bytes_ > largest->bytes_) largest = share;
    }
    if (largest == nullptr || largest->bytes_ == 0) return;
    largest->shedding_ = true;
    shedding_bytes_ += largest->bytes_;
    largest->shed_();
  }
}

}  // namespace weft
