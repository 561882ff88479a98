// Reconstruct the first row of an .npy of uint8 by OpenVINO, without a server. Needs a compiler, and the Python
// package openvino, which brings the headers:
//
// place=$(python -c 'import openvino; print(openvino.__path__[0])')
// g++ -std=c++17 -I$place/include examples/reconstruct.cpp $place/libs/libopenvino.so.* -Wl,-rpath,$place/libs -o reconstruct
// ./reconstruct exports/digits/reconstruct.onnx data/prepared/digits/test.npy
#include <openvino/openvino.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: %s GRAPH.onnx ROWS.npy\n", arguments[0]);
    return 2;
  }
  ov::Core core;
  // Some CPUs would compute in bfloat16.
  auto graph = core.compile_model(arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
  auto shape = graph.input("x").get_partial_shape();
  shape[0] = 1;
  ov::Tensor x(ov::element::u8, shape.to_shape());

  // An .npy is ten bytes, the last two of which are the header's length, then the header, then the values.
  std::ifstream file(arguments[2], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto start = bytes.size() < 10 ? 10 : 10 + (unsigned char)bytes[8] + 256 * (unsigned char)bytes[9];
  if (bytes.size() < start + x.get_size() || bytes.substr(0, start).find("'|u1'") == std::string::npos) {
    std::fprintf(stderr, "%s: an .npy of uint8, of rows of %zu values, is wanted\n", arguments[2], x.get_size());
    return 2;
  }
  std::copy_n(bytes.begin() + start, x.get_size(), reinterpret_cast<char*>(x.data<uint8_t>()));

  auto request = graph.create_infer_request();
  request.set_tensor("x", x);
  request.infer();
  const auto x_mean = request.get_tensor("x_mean");
  double squares = 0;
  for (size_t i = 0; i < x.get_size(); ++i) squares += std::pow(x.data<uint8_t>()[i] - x_mean.data<float>()[i], 2);
  std::printf("root mean squared error %.4f\n", std::sqrt(squares / x.get_size()));
}
