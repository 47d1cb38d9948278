#include "arena.hpp"

#include <new>

namespace kilograd {

Arena arena;

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

}  // namespace kilograd
