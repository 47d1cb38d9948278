#include "dependence.hpp"

#include <algorithm>

#include "map.hpp"

namespace kilograd::program {

namespace {

constexpr std::size_t longest_list = 128;  // columns
constexpr std::size_t most_parts = 16;     // of a set that a larger one takes the parts of
constexpr std::size_t most_numbers = std::size_t{1} << 26, most_work = std::size_t{1} << 29;

void unique(std::vector<std::uint32_t>& numbers) {
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

}  // namespace

Dependence::Dependence(bool second) : second_(second), spans_{{0, 0, true}} {}

void Dependence::spend(std::size_t work) {
    pace_(work);
    if ((work_ += work) > most_work || numbers_.size() > most_numbers) throw TooMuch();
}

Dependence::Set Dependence::column(std::uint32_t number) { return kept({number}, true); }

Dependence::Set Dependence::kept(const std::vector<std::uint32_t>& numbers, bool is_list) {
    std::uint64_t hash = is_list ? 0x9e3779b97f4a7c15u : 0x2545f4914f6cdd1du;
    for (std::uint32_t number : numbers) hash = (hash ^ number) * 0xff51afd7ed558ccdu, hash ^= hash >> 32;
    const auto [first, last] = known_.equal_range(hash);
    for (auto found = first; found != last; ++found) {
        const Span& span = spans_[found->second];
        if (span.is_list == is_list &&
            std::equal(begin(found->second), end(found->second), numbers.begin(), numbers.end()))
            return found->second;
    }
    const auto set = static_cast<Set>(spans_.size());
    spans_.push_back(
        {static_cast<std::uint32_t>(numbers_.size()), static_cast<std::uint32_t>(numbers.size()), is_list});
    numbers_.insert(numbers_.end(), numbers.begin(), numbers.end());
    known_.emplace(hash, set);
    return set;
}

Dependence::Set Dependence::unite(std::vector<Set>& parts) {
    unique(parts);
    if (!parts.empty() && parts[0] == nothing) parts.erase(parts.begin());
    if (parts.size() < 2) return parts.empty() ? nothing : parts[0];
    // Small ones together, of large ones the parts, where these are few.
    merged_.clear();
    std::size_t lists = 0, size = 0;
    for (Set part : parts)
        if (spans_[part].is_list) size += spans_[part].count;
    spend(size + parts.size());
    sets_.clear();
    for (Set part : parts) {
        const Span& span = spans_[part];
        if (span.is_list && size <= longest_list) {
            merged_.insert(merged_.end(), begin(part), end(part));
            ++lists;
        } else if (!span.is_list && span.count <= most_parts) {
            sets_.insert(sets_.end(), begin(part), end(part));
        } else {
            sets_.push_back(part);
        }
    }
    if (lists) {
        unique(merged_);
        sets_.push_back(kept(merged_, true));
    }
    unique(sets_);
    return sets_.size() == 1 ? sets_[0] : kept(sets_, false);
}

void Dependence::cross(Set a, Set b) {
    if (a == nothing || b == nothing) return;
    spend(1);
    const std::pair<Set, Set> both = std::minmax(a, b);
    crossed_.emplace(std::uint64_t{both.first} << 32 | both.second, both);
}

// A new collection.
void Dependence::start() {
    met_sets_.resize(spans_.size(), 0);
    ++collection_;
    found_.clear();
}

void Dependence::collect(Set from) {
    const auto meet = [&](Set set) {
        if (met_sets_[set] == collection_) return;
        met_sets_[set] = collection_;
        stack_.push_back(set);
    };
    meet(from);
    while (!stack_.empty()) {
        const Set set = stack_.back();
        stack_.pop_back();
        spend(spans_[set].count + 1);
        for (const std::uint32_t* number = begin(set); number != end(set); ++number) {
            if (!spans_[set].is_list) {
                meet(*number);
                continue;
            }
            if (met_columns_.size() <= *number) met_columns_.resize(*number + 1, 0);
            if (met_columns_[*number] == collection_) continue;
            met_columns_[*number] = collection_;
            found_.push_back(*number);
        }
    }
}

const std::vector<std::uint32_t>& Dependence::columns(Set set) {
    start();
    collect(set);
    std::sort(found_.begin(), found_.end());
    return found_;
}

Pattern Dependence::crossings(std::size_t width) {
    std::vector<std::vector<Set>> partners(width);
    for (const auto& [key, both] : crossed_)
        for (const auto& [one, other] : {both, std::pair(both.second, both.first)}) {
            for (std::uint32_t column : columns(one)) partners[column].push_back(other);
            if (both.first == both.second) break;
        }
    Pattern pattern;
    pattern.width = width;
    pattern.starts.push_back(0);
    for (std::vector<Set>& sets : partners) {
        unique(sets);
        start();
        spend(sets.size());
        // The newest first: it may refer to the others.
        for (std::size_t k = sets.size(); k-- > 0;) collect(sets[k]);
        std::sort(found_.begin(), found_.end());
        pattern.columns.insert(pattern.columns.end(), found_.begin(), found_.end());
        if (pattern.columns.size() > most_numbers) throw TooMuch();
        pattern.starts.push_back(static_cast<std::uint32_t>(pattern.columns.size()));
    }
    return pattern;
}

Pattern pattern_of(const Map& map, bool second, const Columns& columns) {
    const std::size_t width = columns.size();
    try {
        Dependence dependence(second);
        std::vector<Dependence::Set> x, y(map.n_outputs());
        for (std::uint32_t place : columns.places(map.n_inputs()))
            x.push_back(place == none ? Dependence::nothing : dependence.column(place));
        map.depend(dependence, x.data(), y.data(), Dependence::Mask(map.n_outputs(), 1).data());
        if (second) return dependence.crossings(width);
        Pattern pattern;
        pattern.width = width;
        pattern.starts.push_back(0);
        for (Dependence::Set set : y) {
            const std::vector<std::uint32_t>& row = dependence.columns(set);
            pattern.columns.insert(pattern.columns.end(), row.begin(), row.end());
            if (pattern.columns.size() > most_numbers) throw Dependence::TooMuch();
            pattern.starts.push_back(static_cast<std::uint32_t>(pattern.columns.size()));
        }
        return pattern;
    } catch (const Dependence::TooMuch&) {
        return full_pattern(second ? width : map.n_outputs(), width);
    }
}

}  // namespace kilograd::program
