// Where nodes live: the tape and the leaf pool, both made of chunks of one page block each.
//
// The tape hands out nodes by bumping through a chunk and then through the next, so address order within a chunk and
// chunk order are creation order, which is a topological order. A chunk whose nodes have all died is taken out whole.
// The pool hands out leaves from free lists, so that a long-lived parameter never pins a chunk of the tape.
// AddressSanitizer knows of a dead node that only its Tag may be read, which a sweep does.
//
// All that a node reaches is in one arena, and one thread at a time works in an arena. Where the GIL lets one thread in
// at a time there is one. In a free-threaded Python each thread begins with one of its own, and so graphs of different
// threads are built and differentiated in parallel; an operation on nodes of two arenas joins both to the common one,
// for good: what has met takes turns from then on. `arena()` is the one that the running thread is in. Whoever calls
// the engine has entered it (see bindings/section.hpp), and no engine code leaves it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "node.hpp"
#include "pages.hpp"
#include "poison.hpp"

namespace kilograd {

class Arena;

struct Chunk {
    static constexpr std::uint32_t open = std::numeric_limits<std::uint32_t>::max();

    Chunk* previous = nullptr;  // neighbours in the tape, or in the pool's list of chunks with room
    Chunk* next = nullptr;
    Node* free = nullptr;       // pool: the free slots, linked through Node::a
    std::uint32_t used = open;  // tape: slots handed out, or `open` while the chunk is being filled
    std::uint32_t freed = 0;    // tape: slots that died; pool: slots on the free list
    std::size_t first = 0;      // tape: how many slots had been handed out before its own
#ifdef KILOGRAD_FREE_THREADED
    Arena* opened_by = nullptr;
#endif
    bool pool = false;
    bool dirty = false;  // the running sweep has marked a node in here

    static constexpr std::size_t header = 64;
    static constexpr std::uint32_t slots = (page_block - header) / sizeof(Node);

    Node* begin() { return reinterpret_cast<Node*>(reinterpret_cast<char*>(this) + header); }
    Node* end() { return begin() + slots; }
    static Chunk* of(const Node* node) {
        return reinterpret_cast<Chunk*>(reinterpret_cast<std::uintptr_t>(node) & ~(page_block - 1));
    }
};
static_assert(sizeof(Chunk) <= Chunk::header);

struct TopologicalOrder;

// The orders of roots that are replayed: a few, so that a training and a validation loss can take turns.
struct KeptOrders {
    struct Entry {
        Node* root = nullptr;
        std::shared_ptr<const TopologicalOrder> order;
    };
    std::array<Entry, 4> entries;
    std::size_t next = 0;
};

// Dead fans (see graph.cpp), for the next graph.
struct SpareFans {
    struct Fan {
        Fan* next;
    };
    Fan* first = nullptr;
    std::uint32_t count = 0;
};

class Arena {
  public:
    KeptOrders orders;
    SpareFans spare_fans;
    std::uint32_t half_built = 0;  // the host's
#ifdef KILOGRAD_FREE_THREADED
    std::atomic<bool> joined{false};  // to the common one, which has all that was in here
    std::uint8_t lock = 0;            // the host's

    // Where that is. It may be joined meanwhile, unless the caller has entered it.
    inline Arena& home();
#endif

    Node* new_node() {
        if (bump_ == bump_end_) [[unlikely]]
            open_chunk();
        unpoison(bump_, sizeof(Node));
        return bump_++;
    }

    Node* new_leaf() {
        if (!room_) [[unlikely]]
            open_pool_chunk();
        Node* node = room_->free;
        unpoison(node, sizeof(Node));
        room_->free = node->a;
        if (--room_->freed == 0) [[unlikely]]
            unlink_room(room_);
        return node;
    }

    // Makes the next so many calls of new_node() and new_leaf() certain to succeed.
    void reserve(std::size_t nodes, std::size_t leaves) {
        if (static_cast<std::size_t>(bump_end_ - bump_) < nodes || !room_ || room_->freed < leaves) [[unlikely]]
            map_spare_blocks(nodes, leaves);
    }

    void recycle(Node* node) {
        node->flags = 0;  // so that a sweep passes over it
        Chunk* chunk = Chunk::of(node);
        if (chunk->pool) {
            recycle_leaf(chunk, node);
        } else {
            poison(node, sizeof(Edges));
            if (++chunk->freed == chunk->used) [[unlikely]]
                retire(chunk);
        }
    }

    Chunk* last() { return last_; }
    Node* end_of(Chunk* chunk) { return chunk == last_ ? bump_ : chunk->end(); }  // behind its newest node

    // How many slots of the tape were ever handed out, or left over: what is made later has a higher place.
    std::size_t place() const { return given_ - static_cast<std::size_t>(bump_end_ - bump_); }

    // Calls fn(node) for each living node of the tape that was made between these places. fn makes and frees none.
    template <class Fn>
    void for_each_node_between(std::size_t from, std::size_t to, Fn&& fn) {
        for (Chunk* chunk = last_; chunk && chunk->first + Chunk::slots > from; chunk = chunk->previous) {
            if (chunk->first >= to) continue;
            const auto made = static_cast<std::size_t>(end_of(chunk) - chunk->begin());
            const std::size_t end = std::min(made, to - chunk->first);
            for (std::size_t i = from > chunk->first ? from - chunk->first : 0; i < end; ++i)
                if (Node* node = chunk->begin() + i; node->refs) fn(node);
        }
    }

    // Calls fn(node) for each living node of the tape, operands before results. fn makes and frees none.
    template <class Fn>
    void for_each_node(Fn&& fn) {
        Chunk* chunk = last_;
        while (chunk && chunk->previous) chunk = chunk->previous;
        for (; chunk; chunk = chunk->next)
            for (Node* node = chunk->begin(); node != end_of(chunk); ++node)
                if (node->refs) fn(node);
    }

    // Takes over all chunks of another, none of whose nodes refers to a node in here or the other way round: behind its
    // own on the tape. Needs no memory.
    void absorb(Arena& other);

    std::size_t live_nodes() const;
    std::size_t dead_interior() const;  // how many nodes of the tape ever died: differences count

  private:
    friend class HeldChunk;
    void open_chunk();
    void open_pool_chunk();
    void recycle_leaf(Chunk* chunk, Node* node);
    void retire(Chunk* chunk);
    void link_room(Chunk* chunk);
    void unlink_room(Chunk* chunk);
    void close_chunk();
    void map_spare_blocks(std::size_t nodes, std::size_t leaves);
    Chunk* take_block(bool pool);
    void give_block(Chunk* chunk);

    Node* bump_ = nullptr;
    Node* bump_end_ = nullptr;
    Chunk* last_ = nullptr;   // the chunk that bump_ walks through: the end of the tape
    Chunk* room_ = nullptr;   // head of the list of pool chunks that have room
    Chunk* spare_ = nullptr;  // blocks for the next chunks, linked through `next`
    std::size_t spare_count_ = 0;
    std::size_t given_ = 0;  // slots of all chunks of the tape that were ever opened
    std::size_t tape_chunks_ = 0;
    std::size_t pool_chunks_ = 0;
};

#ifdef KILOGRAD_FREE_THREADED

extern Arena common_arena;
extern thread_local Arena* entered;
inline Arena& arena() { return *entered; }

inline Arena& Arena::home() { return joined.load(std::memory_order_acquire) ? common_arena : *this; }
// Of a node that the caller holds.
inline Arena& arena_of(const Node* node) { return Chunk::of(node)->opened_by->home(); }

// That of this thread, in which its next leaf will be; the common one where it was joined.
Arena& own_arena();

// Moves all that is in an arena to the common one. The caller has locked both.
void join(Arena& arena);

// All that there are, joined ones too. They live as long as the process.
std::vector<Arena*> arenas();

#else

extern Arena the_arena;
inline Arena& arena() { return the_arena; }

#endif

// A chunk of the tape that outlives the death of its nodes, as long as this lives.
class HeldChunk {
  public:
    explicit HeldChunk(Chunk* chunk) : chunk_(chunk) { --chunk->freed; }
    HeldChunk(const HeldChunk&) = delete;
    HeldChunk& operator=(const HeldChunk&) = delete;
    ~HeldChunk();

  private:
    Chunk* chunk_;
};

}  // namespace kilograd
