import Foundation

/// A label, how probable it is, in 0...1, and the model's output for it as it is.
public struct Label: Sendable, Equatable {
    public let label: String
    public let probability: Float
    public let score: Float
}

/// An image or a model that cannot be used; the description is one sentence.
public struct ClassifierError: LocalizedError, CustomStringConvertible {
    public let description: String
    public var errorDescription: String? { description }
}

/// The model, ready to use. Its functions compute off the main thread, one after the other.
public actor EdgeClassifier {
    /// The labels in the order of the model's outputs.
    public nonisolated let labels: [String]

    private let contract: Contract
    private let shape: [Int]
    private let engine: ModelEngine

    /// The classifier of the package's model, on so many threads.
    public init(threads: Int = 1) throws {
        contract = try JSONDecoder().decode(Contract.self, from: Data(contentsOf: resource("contract.json")))
        guard contract.resize == Contract.resizeRule else {
            throw ClassifierError(description: "The model was made by a newer edgecnn; update this code.")
        }
        labels = contract.labels
        shape = contract.input.shape.map { $0 ?? 1 }
        engine = try ModelEngine(shape: shape, count: labels.count, threads: threads)
    }

    /// The labels of an image file's content, the most probable first: decoded, and turned as EXIF says.
    public func classify(_ content: Data) throws -> [Label] {
        try classify(Rgb(file: content))
    }

    /// The same of decoded pixels, which are upright.
    func classify(_ image: Rgb) throws -> [Label] {
        let scores = try scores(prepare(image))
        let largest = scores.max() ?? 0
        let isLogits = contract.outputMeaning == "logits"
        let parts = isLogits ? scores.map { exp($0 - largest) } : scores
        let sum = isLogits ? parts.reduce(0, +) : 1
        return zip(labels.indices, labels)
            .map { Label(label: $1, probability: parts[$0] / sum, score: scores[$0]) }
            .sorted { $0.score > $1.score }
    }

    /// An image as the model takes it: bytes of [height, width, channels].
    func prepare(_ image: Rgb) throws -> [UInt8] {
        try image.resized(height: shape[1], width: shape[2], channels: shape[3])
    }

    /// The model's outputs for pixels as it takes them.
    func scores(_ pixels: [UInt8]) throws -> [Float] { try engine.run(pixels) }
}

/// What the code needs of the contract that comes with the model.
struct Contract: Decodable {
    static let resizeRule = "antialiased-bilinear-q15"

    struct Input: Decodable {
        /// Of the batch, which is open, height, width and channels.
        let shape: [Int?]
    }

    let input: Input
    let labels: [String]
    let outputMeaning: String
    let resize: String

    private enum CodingKeys: String, CodingKey {
        case input, labels, resize
        case outputMeaning = "output_meaning"
    }
}

/// A file of the package's folder `Model`.
func resource(_ name: String) throws -> URL {
    guard let url = Bundle.module.url(forResource: name, withExtension: nil, subdirectory: "Model") else {
        throw ClassifierError(description: "The package lacks Model/\(name); bundle it again.")
    }
    return url
}
