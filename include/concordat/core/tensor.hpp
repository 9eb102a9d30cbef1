// Tensor: a view of ref-counted Storage. Parameter: a tensor with a version.
//
//   Tensor x = host_tensor(Dtype::f32, {2, 3});     // zeroed, contiguous
//   x.span<float>()[4] = 1.0F;
//   Tensor row = x.slice(0, 1, 1);                  // [1,3], same storage
//   Tensor flat = x.reshape({6});
//
// A Tensor is a value; copying it shares the storage. Ops never allocate: the caller does, through
// the back end (`device`) or, on the host, through host_tensor().
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "concordat/core/dtype.hpp"
#include "concordat/core/error.hpp"
#include "concordat/core/storage.hpp"

namespace concordat {

using Shape = std::vector<std::int64_t>;

std::int64_t num_elements(const Shape& shape);
std::string to_string(const Shape& shape);

class Tensor {
 public:
  Tensor() = default;
  /// Contiguous row-major view. @pre the storage holds offset_bytes + the elements.
  Tensor(StoragePtr storage, std::size_t offset_bytes, Dtype dtype, Shape shape);
  Tensor(StoragePtr storage, std::size_t offset_bytes, Dtype dtype, Shape shape, Shape strides);

  bool empty() const { return !storage_; }
  Dtype dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  std::int64_t dim(int axis) const;  ///< negative axes count from the back
  int rank() const { return static_cast<int>(shape_.size()); }
  std::int64_t size() const { return num_elements(shape_); }
  std::size_t size_bytes() const { return static_cast<std::size_t>(size()) * size_of(dtype_); }
  bool contiguous() const;
  Place place() const { return storage_->place(); }
  const StoragePtr& storage() const { return storage_; }
  std::size_t offset_bytes() const { return offset_bytes_; }

  /// The same elements under another shape. @pre contiguous, equal element count.
  Tensor reshape(Shape shape) const;
  /// `length` entries of `axis` from `begin`.
  Tensor slice(int axis, std::int64_t begin, std::int64_t length) const;
  Tensor transpose(int axis_a, int axis_b) const;

  /// For ops and collectives, inside their stream's order: no check of the place.
  template <typename T>
  T* raw() const {
    CONCORDAT_REQUIRE(storage_ != nullptr, "empty tensor");
    CONCORDAT_REQUIRE(dtype_of<T> == dtype_, std::string(name_of(dtype_)));
    return reinterpret_cast<T*>(storage_->data() + offset_bytes_);
  }
  std::byte* raw_bytes() const { return storage_->data() + offset_bytes_; }

  /// Host access. @pre place is host and the view contiguous.
  template <typename T>
  std::span<T> span() const {
    CONCORDAT_REQUIRE(place() == Place::host && contiguous(), to_string(shape_));
    return {raw<T>(), static_cast<std::size_t>(size())};
  }

 private:
  StoragePtr storage_;
  std::size_t offset_bytes_ = 0;
  Dtype dtype_ = Dtype::f32;
  Shape shape_;
  Shape strides_;
};

/// A zeroed, contiguous tensor in host memory.
Tensor host_tensor(Dtype dtype, Shape shape);

/// A weight: its master tensor and a version that every write advances. Packed, transposed and
/// lower-precision copies belong to the back end, which compares versions.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(Tensor value) : value_(std::move(value)) {}
  const Tensor& value() const { return value_; }
  std::uint64_t version() const { return version_; }
  /// Call after every write to value().
  void bump() { ++version_; }

 private:
  Tensor value_;
  std::uint64_t version_ = 1;
};

}  // namespace concordat
