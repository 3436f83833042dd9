// SPDX-License-Identifier: MIT
//
// A function on a stack of its own that can stand still in the middle: what makes one thread play
// many workers. Sanitizers are told about each change of stacks.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define OUTBOX_FIBER_ADDRESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OUTBOX_FIBER_ADDRESS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define OUTBOX_FIBER_THREAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OUTBOX_FIBER_THREAD 1
#endif
#endif
#ifdef OUTBOX_FIBER_ADDRESS
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef OUTBOX_FIBER_THREAD
#include <sanitizer/tsan_interface.h>
#endif

namespace outbox::testing {

/// `resume` runs the body until it pauses or ends; `pause`, called from inside the body, goes back
/// to who resumed it. A fiber must have ended, or never begun, when it is destroyed. The body may
/// not throw. All on one thread.
class fiber {
public:
    explicit fiber(std::function<void()> body) : body_{std::move(body)}, stack_{take_stack()} {
        getcontext(&inside_);
        inside_.uc_stack.ss_sp = stack_.get();
        inside_.uc_stack.ss_size = stack_bytes;
        inside_.uc_link = nullptr;
        makecontext(&inside_, &fiber::enter, 0);
#ifdef OUTBOX_FIBER_THREAD
        inner_ = __tsan_create_fiber(0);
#endif
    }
    fiber(fiber const&) = delete;
    fiber& operator=(fiber const&) = delete;
    ~fiber() {
#ifdef OUTBOX_FIBER_THREAD
        __tsan_destroy_fiber(inner_);
#endif
        spare_stacks().push_back(std::move(stack_));
    }

    [[nodiscard]] bool ended() const {
        return ended_;
    }
    void resume() {
        starting() = this;
#ifdef OUTBOX_FIBER_THREAD
        outer_ = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(inner_, 0);
#endif
        leave_to(&outside_fake_, stack_.get(), stack_bytes);
        swapcontext(&outside_, &inside_);
        arrive(outside_fake_, nullptr, nullptr);
    }
    void pause() {
        back();
        arrive(inside_fake_, &outside_stack_, &outside_bytes_);
    }

private:
    static constexpr std::size_t stack_bytes = std::size_t{256} * 1024;
    using memory = std::unique_ptr<std::byte[]>;

    static fiber*& starting() {
        static thread_local fiber* one = nullptr;
        return one;
    }
    static std::vector<memory>& spare_stacks() {
        static thread_local std::vector<memory> all;
        return all;
    }
    static memory take_stack() {
        auto& spare = spare_stacks();
        if (spare.empty()) return memory{new std::byte[stack_bytes]};
        auto one = std::move(spare.back());
        spare.pop_back();
        return one;
    }
    static void enter() {
        auto& self = *starting();
        arrive(nullptr, &self.outside_stack_, &self.outside_bytes_);
        self.body_();
        self.ended_ = true;
        self.back();
    }
    void back() {
#ifdef OUTBOX_FIBER_THREAD
        __tsan_switch_to_fiber(outer_, 0);
#endif
        leave_to(ended_ ? nullptr : &inside_fake_, outside_stack_, outside_bytes_);
        swapcontext(&inside_, &outside_);
    }
    static void leave_to([[maybe_unused]] void** keep, [[maybe_unused]] void const* stack,
                         [[maybe_unused]] std::size_t bytes) {
#ifdef OUTBOX_FIBER_ADDRESS
        __sanitizer_start_switch_fiber(keep, stack, bytes);
#endif
    }
    static void arrive([[maybe_unused]] void* kept, [[maybe_unused]] void const** stack,
                       [[maybe_unused]] std::size_t* bytes) {
#ifdef OUTBOX_FIBER_ADDRESS
        __sanitizer_finish_switch_fiber(kept, stack, bytes);
#endif
    }

    std::function<void()> body_;
    memory stack_;
    ucontext_t inside_{};
    ucontext_t outside_{};
    void* inside_fake_{nullptr};
    void* outside_fake_{nullptr};
    void const* outside_stack_{nullptr};
    std::size_t outside_bytes_{0};
    bool ended_{false};
#ifdef OUTBOX_FIBER_THREAD
    void* inner_{nullptr};
    void* outer_{nullptr};
#endif
};

}  // namespace outbox::testing
