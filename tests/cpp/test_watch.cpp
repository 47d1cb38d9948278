// Calling a computation off: by whoever started it, in the threads that help, and in a child forked meanwhile.
#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "../../cpp/program/execution/threads.hpp"
#include "../../cpp/program/watch.hpp"
#include "check.hpp"
#include "runs.hpp"

using namespace kilograd;
using namespace kilograd::program;
using namespace kilograd::program::testing;

// Asks at every look; `answer` gets the number of the look and may throw.
class EveryLook final : public Watch {
  public:
    explicit EveryLook(std::function<void(int)> answer) : Watch(std::chrono::nanoseconds(0)), answer_(answer) {}
    std::atomic<int> looks{0};

  private:
    bool ask() override {
        answer_(++looks);
        return true;
    }
    std::function<void(int)> answer_;
};

struct Enough {};

TEST(a_call_is_called_off_between_two_blocks) {
    const Case c = random_case(5, 3, 3, 60, 2, 200000);
    const Program p(c.recording);
    const Results want = run(p, c, chosen_kernels());
    std::vector<double> values(c.rows * p.n_outputs(), -777.0);
    Request q;
    q.x = c.x.data();
    q.row_stride = p.n_inputs();
    q.rows = c.rows;
    q.parameters = c.p.data();
    q.values = values.data();
    {
        EveryLook watch([](int look) {
            if (look == 5) throw Enough();
        });
        CHECK_THROWS(Enough, p.run(q));
        CHECK(watch.looks == 5);
    }
    CHECK(std::count(values.begin(), values.end(), -777.0) > std::ptrdiff_t(values.size() * 9 / 10));
    for (std::size_t k = 0; k < values.size(); ++k) CHECK(values[k] == -777.0 || values[k] == want.values[k]);
    CHECK(run(p, c, chosen_kernels()).dx == want.dx);
}

TEST(a_call_within_a_call) {
    const Case c = random_case(6, 3, 3, 60, 2, 20000);
    const Program p(c.recording);
    const Results want = run(p, c, chosen_kernels());
    for (unsigned threads : {1u, 3u}) {
        int wrong = 0;
        EveryLook watch([&](int look) {
            if (look % 8 == 1) wrong += run(p, c, chosen_kernels(), threads).dx != want.dx;
        });
        const Results got = run(p, c, chosen_kernels());
        CHECK(got.values == want.values && got.dx == want.dx && got.dp == want.dp);
        CHECK(watch.looks > 0);
        CHECK(wrong == 0);
    }
}

TEST(schedules_and_second_derivatives_are_called_off) {
    Case c;
    std::uint32_t y = c.recording.add(Op::leaf);
    const std::uint32_t x = c.recording.add(Op::leaf);
    c.recording.inputs = {y, x};
    for (int k = 0; k < 100000; ++k) y = c.recording.add(k % 2 ? Op::tanh : Op::mul, y, x);
    c.recording.outputs.push_back(y);
    c.rows = 3;
    c.x = {0.5, 1.5, -0.5, 1.25, 0.75, -1.5};
    const auto called_off = [&](auto&& work) {
        EveryLook watch([&](int) { throw Enough(); });
        CHECK_THROWS(Enough, work());
        CHECK(watch.looks == 1);
    };
    called_off([&] { optimise(c.recording); });
    const Program p(c.recording);
    const std::size_t bytes = p.bytes();
    called_off([&] { run(p, c, chosen_kernels()); });
    called_off([&] { hessians(p, c, chosen_kernels()); });
    CHECK(p.bytes() == bytes);  // nothing half made is kept
    const Results got = run(p, c, chosen_kernels()), want = run(Program(c.recording), c, chosen_kernels());
    CHECK(got.values == want.values && got.dx == want.dx && got.dp == want.dp);
}

// Tasks of which the helpers' do not end before the owner says so.
struct Waiting {
    const std::thread::id owner = std::this_thread::get_id();
    std::atomic<int> waiting{0};
    bool mine() const { return std::this_thread::get_id() == owner; }
    template <class Condition>
    void help_until(Condition done) {
        ++waiting;
        while (!done()) std::this_thread::yield();
    }
    void wait_for_a_helper() const {
        while (!waiting) std::this_thread::yield();
    }
};

TEST(helpers_are_called_off_with_their_owner) {
    for (const int last : {1, 5}) {  // in a task, and while waiting for the others' tasks
        EveryLook watch([&](int look) {
            if (look == last) throw Enough();
        });
        Waiting tasks;
        CHECK_THROWS(Enough, parallel(8, 3, [&](std::size_t) {
                         if (tasks.mine()) {
                             tasks.wait_for_a_helper();
                             if (last == 1) look_up();
                         } else {
                             tasks.help_until([] {
                                 look_up();
                                 return false;
                             });
                         }
                     }));
        CHECK(watch.looks == last);
    }
}

// ThreadSanitizer ends a forked child that starts threads.
#if (defined(__unix__) || defined(__APPLE__)) && !defined(__SANITIZE_THREAD__)
TEST(a_child_forked_from_within_a_call_goes_on) {
    for (const bool in_task : {true, false}) {
        pid_t child = -1;
        std::atomic<bool> forked{false};
        std::vector<std::size_t> done(8, 0);
        {
            EveryLook watch([&](int look) {
                if (look != 1) return;
                child = fork();
                forked = true;
            });
            Waiting tasks;
            parallel(8, 3, [&](std::size_t k) {
                if (!tasks.mine()) tasks.help_until([&] { return forked.load(); });
                if (tasks.mine() && !forked) {
                    tasks.wait_for_a_helper();
                    if (in_task) look_up();
                }
                done[k] = k * k + 1;
            });
        }
        bool right = true;
        for (std::size_t k = 0; k < done.size(); ++k) right = right && done[k] == k * k + 1;
        if (child == 0) {
            std::atomic<int> again{0};
            parallel(8, 3, [&](std::size_t) { ++again; });
            _exit(right && again == 8 ? 0 : 1);
        }
        CHECK(right);
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
}
#endif

TEST(the_lowest_failed_task_is_the_one_that_is_told) {
    for (int round = 0; round < 200; ++round) {
        try {
            parallel(20, 4, [](std::size_t k) {
                if (k % 7 == 3) throw static_cast<int>(k);
            });
            CHECK(!"an error was due");
        } catch (int k) {
            CHECK(k == 3);
        }
    }
}

RUN_TESTS()
