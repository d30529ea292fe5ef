import CoreML
import Foundation
import MoceirEdgeCore
import PhotosUI
import SwiftUI

/// What a screen asks for, done beside it, and what came of it.
@MainActor @Observable
final class Work {
    private(set) var busy = false
    private(set) var doing = ""
    private(set) var progress = 0.0
    private(set) var problem: String?
    private(set) var resultFile: URL?
    private(set) var lines: [String] = []
    private(set) var pictures: (before: UIImage, after: UIImage)?
    private(set) var warning: String?

    /// key: the public key that must have signed the bundle, nil for any; so below.
    func profile(_ folder: URL, key: String?) {
        start("Profiling") {
            let device = ThisDevice.facts()
            let made = try await Task.detached {
                try await Work.profiled(folder, key, device) { self.tell($0, $1) }
            }.value
            // beside the bundle: a file in it that its manifest does not name is refused
            let file = folder.deletingLastPathComponent()
                .appendingPathComponent("\(folder.lastPathComponent).result.json")
            try made.json().write(to: file, options: .atomic)
            self.lines = made.text
            self.resultFile = file
        }
    }

    func restore(_ item: PhotosPickerItem, with folder: URL, key: String?) {
        start("Restoring") {
            guard let data = try await item.loadTransferable(type: Data.self) else {
                throw Problem("this photo cannot be loaded: choose another one")
            }
            let done = try await Task.detached {
                try await Work.restored(data, folder, key) { self.tell($0, $1) }
            }.value
            self.pictures = (done.before, done.after)
            self.warning = done.warning
        }
    }

    private nonisolated func tell(_ done: Int, _ all: Int) {
        Task { @MainActor in self.progress = Double(done) / Double(max(all, 1)) }
    }

    private func start(_ name: String, _ action: @escaping @MainActor () async throws -> Void) {
        (busy, doing, progress, problem) = (true, name, 0, nil)
        UIApplication.shared.isIdleTimerDisabled = true
        Task {
            do {
                try await action()
            } catch {
                problem = error.localizedDescription
            }
            UIApplication.shared.isIdleTimerDisabled = false
            busy = false
        }
    }

    private nonisolated static func profiled(
        _ folder: URL, _ key: String?, _ device: ProfileResult.Device, told: @escaping (Int, Int) -> Void
    ) async throws -> ProfileResult {
        let (manifest, sha256) = try Manifest.open(folder, key: key)
        let artifact = folder.appendingPathComponent("artifact")
        let session = try await CoreMLSession(package: try model(in: artifact), units: .all)
        let version = ProcessInfo.processInfo.operatingSystemVersionString
        return try Profiler(
            manifest: manifest, bundleSha256: sha256, device: device,
            runtime: ProfileResult.Runtime(name: "coreml", version: version, provider: "all compute units"),
            loadMs: session.loadMs, spoiled: ThisDevice.spoiled, memoryPeakMiB: ThisDevice.memoryPeakMiB
        ).run(session, folder: folder, told: told)
    }

    private nonisolated static func restored(
        _ data: Data, _ folder: URL, _ key: String?, told: @escaping (Int, Int) -> Void
    ) async throws -> (before: UIImage, after: UIImage, warning: String?) {
        let (manifest, _) = try Manifest.open(folder, key: key)
        let artifact = folder.appendingPathComponent("artifact")
        let session = try await CoreMLSession(package: try model(in: artifact), units: .all)
        let photo = try Photo.rgba(of: data)
        let planes = Planes(rgba: photo.bytes, height: photo.height, width: photo.width)
        let found = try Tiles.restore(planes, with: session, told: told)
        let pixels = try found.restored.rgba(over: photo.bytes)
        let after = try Photo.image(pixels, height: photo.height, width: photo.width)
        let before = try Photo.image(photo.bytes, height: photo.height, width: photo.width)
        let rule = try Guard.rule(artifact: artifact)
        return (before, after, rule?.warning(found, tasks: manifest.tasks))
    }

    private nonisolated static func model(in artifact: URL) throws -> URL {
        struct Facts: Decodable { let model: String }
        let bytes = try Data(contentsOf: artifact.appendingPathComponent("artifact.json"))
        return artifact.appendingPathComponent(try JSONDecoder().decode(Facts.self, from: bytes).model)
    }
}
