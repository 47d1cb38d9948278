// What several threads do at the same time with one program and with the pool. ThreadSanitizer is to see this.
#include <atomic>
#include <barrier>
#include <stdexcept>
#include <string>
#include <thread>

#include "../../cpp/program/execution/threads.hpp"
#include "../../cpp/program/format.hpp"
#include "../../cpp/program/kernels/isa.hpp"
#include "../../cpp/program/program.hpp"
#include "check.hpp"
#include "runs.hpp"

using namespace kilograd::program;
using kilograd::program::testing::Case;
using kilograd::program::testing::random_case;
using kilograd::program::testing::request;

namespace {

constexpr int callers = 6;

// Runs work(0), work(1), ... in threads that start at the same moment.
template <class Work>
void together(Work&& work) {
    std::barrier start(callers);
    std::vector<std::thread> threads;
    for (int t = 0; t < callers; ++t)
        threads.emplace_back([&, t] {
            start.arrive_and_wait();
            work(t);
        });
    for (std::thread& thread : threads) thread.join();
}

// What a caller can ask of a program, by number; each needs a schedule of its own.
constexpr int questions = 7;
std::vector<double> ask(const Program& p, const Case& c, int question, unsigned threads) {
    std::vector<double> values(c.rows * p.n_outputs()), dx(c.rows * p.n_inputs()), dp(p.n_parameters());
    Request q = request(p, c);
    q.threads = threads;
    q.check = question % 2;
    if (question < 4) {
        if (question == 1) q.rows = 1;
        if (question == 3) q.reduce = Reduce::Mean;
        if (question != 2) q.values = values.data();
        if (question > 0) q.dx = dx.data();
        if (question > 1) q.dp = dp.data();
        p.run(q);
        values.insert(values.end(), dx.begin(), dx.end());
        values.insert(values.end(), dp.begin(), dp.end());
        return values;
    }
    q.promoted = question == 5;
    const std::size_t columns = p.n_inputs() + (q.promoted ? p.n_parameters() : 0);
    std::vector<double> result(c.rows * columns * columns);
    if (question == 6) {
        testing::swept_hessian(p, q, result.data(), chosen_kernels());
    } else {
        testing::whole_hessian(p, q, result.data(), chosen_kernels());
    }
    return result;
}

}  // namespace

TEST(first_calls_at_the_same_time) {
    const Case c = random_case(11, 3, 3, 80, 2, 67);
    std::vector<std::vector<double>> want;
    for (int k = 0; k < questions; ++k) want.push_back(ask(Program(c.recording), c, k, 1));
    std::atomic<int> wrong{0};
    for (int round = 0; round < 5; ++round) {
        const Program p(c.recording);
        together([&](int t) {
            for (int k = 0; k < questions; ++k) {  // all at the same question, and each from another one on
                const int question = round % 2 ? k : (k + t) % questions;
                wrong += ask(p, c, question, 1 + static_cast<unsigned>(t) % 3) != want[question];
                wrong += p.bytes() == 0;
            }
        });
    }
    CHECK(wrong == 0);
}

TEST(programs_are_made_and_read_at_the_same_time) {
    const Case c = random_case(12, 3, 3, 80, 2, 5);
    const std::vector<double> want = ask(Program(c.recording), c, 2, 1);
    const std::string file = serialise({optimise(c.recording), {2}, c.p});
    std::atomic<int> wrong{0};
    together([&](int t) {
        for (int k = 0; k < 5; ++k) {
            const Program p(t % 2 ? optimise(c.recording) : deserialise(file.data(), file.size()).graph);
            wrong += ask(p, c, 2, 2) != want;
        }
    });
    CHECK(wrong == 0);
}

TEST(jobs_of_several_callers_share_the_pool) {
    std::atomic<int> wrong{0};
    together([&](int t) {
        for (int k = 0; k < 50; ++k) {
            std::vector<int> done(20, 0);  // a task writes its own place alone
            parallel(done.size(), 1 + static_cast<unsigned>(t + k) % 4, [&](std::size_t task) { done[task] += 1 + t; });
            for (int d : done) wrong += d != 1 + t;
            try {
                parallel(20, 3, [&](std::size_t task) {
                    if (task >= 7) throw std::runtime_error(std::to_string(task));
                });
                ++wrong;
            } catch (const std::runtime_error& error) {
                wrong += error.what() != std::string("7");
            }
        }
    });
    CHECK(wrong == 0);
}

TEST(a_task_may_be_a_job_itself) {
    std::atomic<int> done{0};
    together([&](int) { parallel(4, 3, [&](std::size_t) { parallel(5, 2, [&](std::size_t) { ++done; }); }); });
    CHECK(done == callers * 20);
}

RUN_TESTS()
