import CEdgeClassifier
import Foundation

extension EdgeClassifier {
    /// What does not fit on this device, in sentences; empty where the self-test passes.
    public static func selfTest() async throws -> [String] {
        try await EdgeClassifier().problems(String(contentsOf: resource("golden.txt"), encoding: .utf8))
    }

    /// What does not fit of what the lines tell: checksums of files, how far outputs may be from Python's, and of each
    /// image the checksum of its prepared pixels and its outputs.
    func problems(_ golden: String) throws -> [String] {
        var found: [String] = []
        var bound = 0.0
        for line in golden.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            switch words[0] {
            case "bound":
                bound = Double(words[1]) ?? 0
            case "file":
                if try checksum(of: words[1]) != words[2] { found.append("\(words[1]) is not the file that was bundled.") }
            default:
                let pixels = try prepare(Rgb(file: Data(contentsOf: resource(words[1]))))
                if String(edgecnn_crc32(pixels, pixels.count)) != words[2] {
                    found.append("\(words[1]): its pixels are prepared otherwise.")
                }
                let difference =
                    try zip(scores(pixels), words.dropFirst(3))
                    .map { abs(Double($0) - (Double($1) ?? .infinity)) }.max() ?? .infinity
                if !(difference <= bound) { found.append("\(words[1]): its outputs differ by \(difference).") }
            }
        }
        return found
    }

    private func checksum(of name: String) throws -> String {
        let content = try [UInt8](Data(contentsOf: resource(name)))
        return String(edgecnn_crc32(content, content.count))
    }
}
