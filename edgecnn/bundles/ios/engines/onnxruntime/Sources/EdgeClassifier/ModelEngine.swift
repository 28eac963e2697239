import Foundation
import OnnxRuntimeBindings

/// The model on ONNX Runtime.
final class ModelEngine {
    private let environment: ORTEnv
    private let session: ORTSession
    private let shape: [NSNumber]
    private let input: String
    private let output: String

    init(shape: [Int], count: Int, threads: Int) throws {
        environment = try ORTEnv(loggingLevel: .warning)
        let options = try ORTSessionOptions()
        try options.setIntraOpNumThreads(Int32(threads))
        session = try ORTSession(env: environment, modelPath: resource("model.onnx").path, sessionOptions: options)
        self.shape = shape.map { NSNumber(value: $0) }
        guard let input = try session.inputNames().first, let output = try session.outputNames().first else {
            throw ClassifierError(description: "The model has no input or no output; bundle it again.")
        }
        (self.input, self.output) = (input, output)
    }

    /// The outputs for pixels of [height, width, channels].
    func run(_ pixels: [UInt8]) throws -> [Float] {
        let tensor = try ORTValue(
            tensorData: NSMutableData(data: Data(pixels)), elementType: .uInt8, shape: shape)
        let outputs = try session.run(withInputs: [input: tensor], outputNames: [output], runOptions: nil)
        guard let scores = try outputs[output]?.tensorData() as Data? else {
            throw ClassifierError(description: "The model gave no outputs.")
        }
        return scores.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}
