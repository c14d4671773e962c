// A device guard for "cuda" that switches nothing: PyTorch without CUDA has none, and refuses such tensors without one.
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace {

struct CudaGuard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  c10::Device exchangeDevice(c10::Device) const override {
    return getDevice();
  }
  c10::Device getDevice() const override {
    return {c10::DeviceType::CUDA, 0};
  }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, device.has_index() ? device : getDevice());
  }
  c10::DeviceIndex deviceCount() const noexcept override {
    return 2;
  }
};

C10_REGISTER_GUARD_IMPL(CUDA, CudaGuard)

} // namespace
