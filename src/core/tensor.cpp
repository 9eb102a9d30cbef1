#include "concordat/core/tensor.hpp"

namespace concordat {
namespace {

Shape row_major(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

}  // namespace

std::int64_t num_elements(const Shape& shape) {
  std::int64_t count = 1;
  for (std::int64_t extent : shape) count *= extent;
  return count;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ",";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

Tensor::Tensor(StoragePtr storage, std::size_t offset_bytes, Dtype dtype, Shape shape)
    : Tensor(std::move(storage), offset_bytes, dtype, shape, row_major(shape)) {}

Tensor::Tensor(StoragePtr storage, std::size_t offset_bytes, Dtype dtype, Shape shape,
               Shape strides)
    : storage_(std::move(storage)),
      offset_bytes_(offset_bytes),
      dtype_(dtype),
      shape_(std::move(shape)),
      strides_(std::move(strides)) {
  CONCORDAT_REQUIRE(storage_ != nullptr, "no storage");
  CONCORDAT_REQUIRE(shape_.size() == strides_.size(), to_string(shape_));
  std::int64_t last = 0;
  for (std::size_t i = 0; i < shape_.size(); ++i) {
    CONCORDAT_REQUIRE(shape_[i] >= 0, to_string(shape_));
    last += std::max<std::int64_t>(shape_[i] - 1, 0) * strides_[i];
  }
  std::size_t needed = size() == 0 ? 0 : (static_cast<std::size_t>(last) + 1) * size_of(dtype_);
  CONCORDAT_REQUIRE(offset_bytes_ + needed <= storage_->size_bytes(), to_string(shape_));
}

std::int64_t Tensor::dim(int axis) const {
  int at = axis < 0 ? axis + rank() : axis;
  CONCORDAT_REQUIRE(at >= 0 && at < rank(), to_string(shape_));
  return shape_[static_cast<std::size_t>(at)];
}

bool Tensor::contiguous() const {
  std::int64_t expected = 1;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    if (shape_[i] != 1 && strides_[i] != expected) return false;
    expected *= shape_[i];
  }
  return true;
}

Tensor Tensor::reshape(Shape shape) const {
  CONCORDAT_REQUIRE(contiguous() && num_elements(shape) == size(),
                    to_string(shape_) + " as " + to_string(shape));
  return {storage_, offset_bytes_, dtype_, std::move(shape)};
}

Tensor Tensor::slice(int axis, std::int64_t begin, std::int64_t length) const {
  auto at = static_cast<std::size_t>(axis < 0 ? axis + rank() : axis);
  CONCORDAT_REQUIRE(begin >= 0 && length >= 0 && begin + length <= dim(axis),
                    to_string(shape_) + " from " + std::to_string(begin));
  Shape shape = shape_;
  shape[at] = length;
  std::size_t offset =
      offset_bytes_ + static_cast<std::size_t>(begin * strides_[at]) * size_of(dtype_);
  return {storage_, offset, dtype_, std::move(shape), strides_};
}

Tensor Tensor::transpose(int axis_a, int axis_b) const {
  Shape shape = shape_;
  Shape strides = strides_;
  auto a = static_cast<std::size_t>(axis_a < 0 ? axis_a + rank() : axis_a);
  auto b = static_cast<std::size_t>(axis_b < 0 ? axis_b + rank() : axis_b);
  CONCORDAT_REQUIRE(a < shape.size() && b < shape.size(), to_string(shape_));
  std::swap(shape[a], shape[b]);
  std::swap(strides[a], strides[b]);
  return {storage_, offset_bytes_, dtype_, std::move(shape), std::move(strides)};
}

Tensor host_tensor(Dtype dtype, Shape shape) {
  auto bytes = static_cast<std::size_t>(num_elements(shape)) * size_of(dtype);
  return {make_host_storage(bytes), 0, dtype, std::move(shape)};
}

}  // namespace concordat
