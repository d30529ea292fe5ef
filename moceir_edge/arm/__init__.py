"""64-bit Arm without a board: ONNX Runtime's Arm kernels under QEMU's user emulation, in a folder of their own."""
