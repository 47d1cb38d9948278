// Wants: by which leaves a schedule has gradients.
#pragma once

namespace kilograd::program {

struct Wants {
    bool inputs = false;
    bool parameters = false;
    bool promoted = false;  // parameters are treated as further inputs, so that they have a gradient in every row
    bool any() const { return inputs || parameters; }
    static constexpr unsigned key_count = 8;
    unsigned key() const { return inputs | parameters << 1 | promoted << 2; }
};

}  // namespace kilograd::program
