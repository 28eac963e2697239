import CEdgeClassifier

/// The model as compiled C; it computes on the caller's thread.
final class ModelEngine {
    private let count: Int

    init(shape: [Int], count: Int, threads: Int) throws {
        self.count = count
        guard shape.dropFirst() == [Int(EDGECNN_HEIGHT), Int(EDGECNN_WIDTH), Int(EDGECNN_CHANNELS)],
            count == Int(EDGECNN_LABELS)
        else { throw ClassifierError(description: "The contract is another model's; bundle it again.") }
    }

    /// The outputs for pixels of [height, width, channels].
    func run(_ pixels: [UInt8]) throws -> [Float] {
        var scores = [Float](repeating: 0, count: count)
        guard edgecnn_model_run(pixels, &scores) == 0 else {
            throw ClassifierError(description: "Memory is short; free some and try again.")
        }
        return scores
    }
}
