import Foundation
import XCTest

@testable import EdgeClassifier

final class GoldenTests: XCTestCase {
    func testTheGoldenImagesGiveWhatTheyMust() async throws {
        let problems = try await EdgeClassifier.selfTest()
        XCTAssertEqual(problems, [])
    }

    func testAnAlteredFileOrAnswerIsNoticed() async throws {
        let golden = "bound 0.0001\nfile contract.json 1\nimage 00.png 1" + String(repeating: " 1e9", count: 2)
        let problems = try await EdgeClassifier().problems(golden)
        XCTAssertEqual(problems.count, 3)
    }

    func testWhatIsNoImageIsRefused() async throws {
        let classifier = try EdgeClassifier()
        do {
            _ = try await classifier.classify(Data("no image".utf8))
            XCTFail("it was taken")
        } catch let error as ClassifierError {
            XCTAssertTrue(error.description.hasPrefix("This is not "))
        }
    }

    func testLabelsComeInTheOrderOfTheirProbability() async throws {
        let labels = try await EdgeClassifier().classify(Data(contentsOf: resource("00.png")))
        XCTAssertEqual(labels.map(\.score), labels.map(\.score).sorted(by: >))
        XCTAssertEqual(labels.map(\.probability).reduce(0, +), 1, accuracy: 1e-4)
    }
}
