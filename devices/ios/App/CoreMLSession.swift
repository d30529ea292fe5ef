import CoreML
import CoreVideo
import Foundation
import MoceirEdgeCore

/// A Core ML package as a session, with tensors or 8-bit pictures in and out, as it was exported.
final class CoreMLSession: Session {
    let served: (height: Int, width: Int)?
    let loadMs: Double
    private let model: MLModel
    private let takesImage: Bool

    /// Compile and load the package at `url`; times both.
    init(package url: URL, units: MLComputeUnits) async throws {
        let started = ContinuousClock.now
        let compiled = try await MLModel.compileModel(at: url)
        defer { try? FileManager.default.removeItem(at: compiled) }
        let configuration = MLModelConfiguration()
        configuration.computeUnits = units
        model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
        loadMs = started.duration(to: .now).milliseconds
        guard let input = model.modelDescription.inputDescriptionsByName["image"] else {
            throw Problem("the model has no input called image: export it again")
        }
        guard model.modelDescription.inputDescriptionsByName.count == 1 else {
            throw Problem("the model takes its gates from the caller: export it without gates_input")
        }
        takesImage = input.type == .image
        if let constraint = input.imageConstraint {
            served = (height: constraint.pixelsHigh, width: constraint.pixelsWide)
        } else if let shape = input.multiArrayConstraint?.shape, shape.count == 4 {
            served = (height: shape[2].intValue, width: shape[3].intValue)
        } else {
            throw Problem("the model's input is neither a picture nor an array: export it again")
        }
    }

    func run(_ picture: Planes) throws -> Outputs {
        let given = try takesImage ? MLFeatureValue(pixelBuffer: pixelBuffer(picture)) : array(picture)
        let found = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["image": given]))
        guard let restored = found.featureValue(for: "restored") else {
            throw Problem("the model gives no output called restored: export it again")
        }
        let planes: Planes
        if let buffer = restored.imageBufferValue {
            planes = self.planes(of: buffer)
        } else if let values = restored.multiArrayValue {
            planes = Planes(height: picture.height, width: picture.width, data: floats(of: values))
        } else {
            throw Problem("the model's output is neither a picture nor an array: export it again")
        }
        let agreement = found.featureValue(for: "agreement")?.multiArrayValue.map { Double(floats(of: $0)[0]) }
        return Outputs(restored: planes, agreement: agreement, scores: scores(found))
    }

    private func scores(_ found: MLFeatureProvider) -> [[[Double]]] {
        guard let values = found.featureValue(for: "scores")?.multiArrayValue, values.shape.count == 3 else { return [] }
        let experts = values.shape[2].intValue
        let flat = floats(of: values).map { Double($0) }
        return [stride(from: 0, to: flat.count, by: experts).map { Array(flat[$0..<$0 + experts]) }]
    }

    private func array(_ picture: Planes) throws -> MLFeatureValue {
        let shape = [1, 3, picture.height, picture.width] as [NSNumber]
        let values = try MLMultiArray(shape: shape, dataType: .float32)
        values.withUnsafeMutableBufferPointer(ofType: Float.self) { pointer, _ in
            _ = pointer.update(fromContentsOf: picture.data)
        }
        return MLFeatureValue(multiArray: values)
    }

    /// In row order, whatever strides and number format Core ML chose.
    private func floats(of values: MLMultiArray) -> [Float] {
        MLShapedArray<Float>(converting: values).scalars
    }

    private func pixelBuffer(_ picture: Planes) throws -> CVPixelBuffer {
        var made: CVPixelBuffer?
        let attributes: [String: Any] = [kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any]()]
        let (width, height) = (picture.width, picture.height)
        CVPixelBufferCreate(nil, width, height, kCVPixelFormatType_32BGRA, attributes as CFDictionary, &made)
        guard let buffer = made else { throw Problem("no memory for a picture: close other apps") }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        let base = CVPixelBufferGetBaseAddress(buffer)!.assumingMemoryBound(to: UInt8.self)
        let area = picture.height * picture.width
        for row in 0..<picture.height {
            for column in 0..<picture.width {
                let pixel = row * picture.width + column
                for channel in 0..<3 {  // blue, green, red
                    let value = picture.data[(2 - channel) * area + pixel]
                    guard value.isFinite else { throw Problem("the picture holds NaN or infinity: make the bundle again") }
                    base[row * stride + 4 * column + channel] = UInt8((min(max(value, 0), 1) * 255).rounded())
                }
                base[row * stride + 4 * column + 3] = 255
            }
        }
        return buffer
    }

    private func planes(of buffer: CVPixelBuffer) -> Planes {
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        let (height, width) = (CVPixelBufferGetHeight(buffer), CVPixelBufferGetWidth(buffer))
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        let base = CVPixelBufferGetBaseAddress(buffer)!.assumingMemoryBound(to: UInt8.self)
        let area = height * width
        var planes = Planes.zeros(height: height, width: width)
        for row in 0..<height {
            for column in 0..<width {
                for channel in 0..<3 {
                    let byte = base[row * stride + 4 * column + channel]
                    planes.data[(2 - channel) * area + row * width + column] = Float(byte) / 255
                }
            }
        }
        return planes
    }
}

extension Duration {
    var milliseconds: Double {
        Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15
    }
}
