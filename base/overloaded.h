// One visitor out of several lambdas, for std::visit.
#pragma once

namespace fallow {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace fallow
