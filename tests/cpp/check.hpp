// The smallest test harness that does: TEST(name) { CHECK(condition); }, and RUN_TESTS() as the program.
//
// A failed CHECK prints where and what, and the test goes on; the program ends with status 1 if any failed. Tests run
// in the order of the file. CHECK_CLOSE compares doubles within an absolute tolerance that the caller argues.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

namespace check {

struct Test {
    const char* name;
    void (*body)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

inline int failures = 0;

struct Register {
    Register(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

inline bool expect(bool ok, const char* file, int line, const char* what) {
    if (!ok) {
        ++failures;
        std::printf("%s:%d: failed: %s\n", file, line, what);
    }
    return ok;
}

inline void expect_close(double got, double want, double tolerance, const char* file, int line, const char* what) {
    bool ok = std::fabs(got - want) <= tolerance;  // false for NaN
    if (!expect(ok, file, line, what)) std::printf("    got %.17g, want %.17g within %.3g\n", got, want, tolerance);
}

inline int run() {
    int failed = 0;
    for (const Test& test : tests()) {
        int before = failures;
        test.body();
        failed += failures != before;
        std::printf("%s %s\n", failures == before ? "pass" : "FAIL", test.name);
    }
    std::printf("%zu passed, %d failed\n", tests().size() - static_cast<std::size_t>(failed), failed);
    return failed != 0 || tests().empty();
}

}  // namespace check

#define TEST(name)                                              \
    static void test_##name();                                  \
    static check::Register register_##name(#name, test_##name); \
    static void test_##name()
#define CHECK(...) check::expect(bool(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
#define CHECK_CLOSE(got, want, tolerance) \
    check::expect_close((got), (want), (tolerance), __FILE__, __LINE__, #got " == " #want)
#define CHECK_THROWS(type, ...)                                                   \
    do {                                                                          \
        bool thrown = false;                                                      \
        try {                                                                     \
            __VA_ARGS__;                                                          \
        } catch (const type&) {                                                   \
            thrown = true;                                                        \
        }                                                                         \
        check::expect(thrown, __FILE__, __LINE__, #__VA_ARGS__ " throws " #type); \
    } while (false)
#define RUN_TESTS() \
    int main() { return check::run(); }
