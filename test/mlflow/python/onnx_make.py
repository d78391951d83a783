"""Writes a small ONNX model, y = x @ [[1], [2]] + 0.5, and prints its size in bytes."""

import json
import os
import sys

import onnx
from onnx import TensorProto, helper

(path,) = sys.argv[1:]
weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [1.0, 2.0])
bias = helper.make_tensor("b", TensorProto.FLOAT, [1], [0.5])
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["y"]),
    ],
    "linear",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    [weights, bias],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
model.ir_version = 8
onnx.checker.check_model(model)
onnx.save_model(model, path)
print(json.dumps(os.path.getsize(path)))
