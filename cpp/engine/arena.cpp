#include "arena.hpp"

#include <new>

#include "order.hpp"

namespace kilograd {

Chunk* Arena::take_block(bool pool) {
    void* block = spare_;
    if (!block) {
        block = map_block();
    } else {
        spare_ = spare_->next;
        --spare_count_;
    }
    ++(pool ? pool_chunks_ : tape_chunks_);
    Chunk* chunk = new (block) Chunk{.pool = pool};
#ifdef KILOGRAD_FREE_THREADED
    chunk->opened_by = this;
#endif
    if (!pool) poison(chunk->begin(), Chunk::slots * sizeof(Node));
    return chunk;
}

void Arena::give_block(Chunk* chunk) {
    --(chunk->pool ? pool_chunks_ : tape_chunks_);
    unpoison(chunk, page_block);
    unmap_block(chunk);
}

void Arena::map_spare_blocks(std::size_t nodes, std::size_t leaves) {
    const auto chunks_for = [](std::size_t wanted, std::size_t there) {
        return wanted > there ? (wanted - there + Chunk::slots - 1) / Chunk::slots : 0;
    };
    std::size_t free_leaves = 0;
    for (const Chunk* chunk = room_; chunk && free_leaves < leaves; chunk = chunk->next) free_leaves += chunk->freed;
    const std::size_t needed =
        chunks_for(nodes, static_cast<std::size_t>(bump_end_ - bump_)) + chunks_for(leaves, free_leaves);
    for (; spare_count_ < needed; ++spare_count_) spare_ = new (map_block()) Chunk{.next = spare_};
}

void Arena::open_chunk() {
    const std::size_t first = given_;
    given_ += Chunk::slots;
    if (last_ && last_->freed == Chunk::slots) {  // everything in it died while it was being filled
        last_->freed = 0;
        last_->first = first;
        bump_ = last_->begin();
        return;
    }
    Chunk* chunk = take_block(false);
    if (last_) {
        last_->used = Chunk::slots;
        last_->next = chunk;
    }
    chunk->previous = last_;
    chunk->first = first;
    last_ = chunk;
    bump_ = chunk->begin();
    bump_end_ = chunk->end();
}

void Arena::retire(Chunk* chunk) {  // never the last one: that one is open
    if (chunk->previous) chunk->previous->next = chunk->next;
    chunk->next->previous = chunk->previous;
    give_block(chunk);
}

// The slots of the last chunk that were not handed out count as dead; another chunk will follow it.
void Arena::close_chunk() {
    const auto left = static_cast<std::uint32_t>(bump_end_ - bump_);
    for (; bump_ != bump_end_; ++bump_) {
        unpoison(static_cast<Tag*>(bump_), sizeof(Tag));
        static_cast<Tag&>(*bump_) = {0, Op::leaf, Kinds{}, 0, 0};
    }
    last_->freed += left;
    last_->used = Chunk::slots;
}

void Arena::absorb(Arena& other) {
    if (other.last_) {
        std::size_t first = given_;
        Chunk* oldest = other.last_;
        while (oldest->previous) oldest = oldest->previous;
        for (Chunk* chunk = oldest; chunk; chunk = chunk->next, first += Chunk::slots) chunk->first = first;
        Chunk* const closed = last_;
        if (closed) {
            close_chunk();
            closed->next = oldest;
            oldest->previous = closed;
        }
        last_ = other.last_;
        bump_ = other.bump_;
        bump_end_ = other.bump_end_;
        given_ = first;
        if (closed && closed->freed == closed->used) retire(closed);
    }
    if (Chunk* end = other.room_) {
        while (end->next) end = end->next;
        end->next = room_;
        if (room_) room_->previous = end;
        room_ = other.room_;
    }
    if (Chunk* end = other.spare_) {
        while (end->next) end = end->next;
        end->next = spare_;
        spare_ = other.spare_;
    }
    if (SpareFans::Fan* end = other.spare_fans.first) {
        while (end->next) end = end->next;
        end->next = spare_fans.first;
        spare_fans = {other.spare_fans.first, spare_fans.count + other.spare_fans.count};
    }
    half_built += other.half_built;
    spare_count_ += other.spare_count_;
    tape_chunks_ += other.tape_chunks_;
    pool_chunks_ += other.pool_chunks_;
    other.bump_ = other.bump_end_ = nullptr;
    other.last_ = other.room_ = other.spare_ = nullptr;
    other.spare_count_ = other.given_ = other.tape_chunks_ = other.pool_chunks_ = 0;
    other.half_built = 0;
    other.orders = {};
    other.spare_fans = {};
}

HeldChunk::~HeldChunk() {
    if (++chunk_->freed == chunk_->used) arena().retire(chunk_);
}

void Arena::link_room(Chunk* chunk) {
    chunk->previous = nullptr;
    chunk->next = room_;
    if (room_) room_->previous = chunk;
    room_ = chunk;
}

void Arena::unlink_room(Chunk* chunk) {
    if (chunk->previous) chunk->previous->next = chunk->next;
    if (chunk->next) chunk->next->previous = chunk->previous;
    if (room_ == chunk) room_ = chunk->next;
}

void Arena::open_pool_chunk() {
    Chunk* chunk = take_block(true);
    for (Node* node = chunk->end(); node-- != chunk->begin();) {
        node->a = chunk->free;
        chunk->free = node;
        poison(node, sizeof(Node));
    }
    chunk->freed = Chunk::slots;
    link_room(chunk);
}

void Arena::recycle_leaf(Chunk* chunk, Node* node) {
    node->a = chunk->free;
    chunk->free = node;
    poison(node, sizeof(Node));
    if (chunk->freed++ == 0) {
        link_room(chunk);
    } else if (chunk->freed == Chunk::slots && (chunk->previous || chunk->next)) {
        unlink_room(chunk);
        give_block(chunk);
    }
}

std::size_t Arena::live_nodes() const {
    std::size_t live = 0;
    for (const Chunk* chunk = last_; chunk; chunk = chunk->previous) live += Chunk::slots - chunk->freed;
    if (last_) live -= static_cast<std::size_t>(bump_end_ - bump_);
    live += pool_chunks_ * Chunk::slots;
    for (const Chunk* chunk = room_; chunk; chunk = chunk->next) live -= chunk->freed;
    return live;
}

std::size_t Arena::dead_interior() const {
    std::size_t dead = given_;
    for (const Chunk* chunk = last_; chunk; chunk = chunk->previous) dead -= Chunk::slots - chunk->freed;
    return dead;
}

#ifdef KILOGRAD_FREE_THREADED

Arena common_arena;
thread_local Arena* entered = nullptr;

namespace {

// All arenas, and those whose threads have ended: graphs of theirs may live on. Threads may outlive destructors of
// globals, so it has none.
struct Registry {
    Door door;
    std::vector<Arena*> all{&common_arena}, ownerless;
};
Registry& registry() {
    static Registry& only = *new Registry;
    return only;
}

// What a thread has for its own, until it ends.
class Ownership {
  public:
    Ownership() = default;
    Ownership(const Ownership&) = delete;
    Ownership& operator=(const Ownership&) = delete;
    ~Ownership() {
        if (!own_ || own_ == &common_arena) return;
        const Alone alone(registry().door);
        registry().ownerless.push_back(own_);
    }
    Arena& get() {
        if (!own_) take();
        return *(own_ = &own_->home());
    }

  private:
    void take() {
        auto& [door, all, ownerless] = registry();
        const Alone alone(door);
        while (!own_ && !ownerless.empty()) {
            own_ = ownerless.back();
            ownerless.pop_back();
            if (own_->joined.load(std::memory_order_acquire)) own_ = nullptr;
        }
        if (own_) return;
        all.reserve(all.size() + 1);
        ownerless.reserve(all.size() + 1);  // so that a thread can end
        own_ = new Arena;
        all.push_back(own_);
    }

    Arena* own_ = nullptr;
};
thread_local Ownership ownership;

}  // namespace

Arena& own_arena() { return ownership.get(); }

void join(Arena& arena) {
    common_arena.absorb(arena);
    arena.joined.store(true, std::memory_order_release);
}

std::vector<Arena*> arenas() {
    const Alone alone(registry().door);
    return registry().all;
}

#else

Arena the_arena;

#endif

}  // namespace kilograd
