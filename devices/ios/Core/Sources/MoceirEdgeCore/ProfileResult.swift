import Foundation

/// A result as `devices/result.schema.json` says; the same of every runner. What the device does not tell is null.
public struct ProfileResult {
    public struct Golden {
        public let name: String
        public let task: String
        public let finite: Bool
        public let psnrDb: Double?
        public let agreement: Double?
        public let floorDb: Double?
    }

    public struct Device {
        public let model: String
        public let system: String
        public let processor: String
        public let cores: Int
        public let memoryMiB: Double?
        public let simulated: Bool

        public init(
            model: String, system: String, processor: String, cores: Int, memoryMiB: Double?, simulated: Bool
        ) {
            self.model = model
            self.system = system
            self.processor = processor
            self.cores = cores
            self.memoryMiB = memoryMiB
            self.simulated = simulated
        }
    }

    public struct Runtime {
        public let name: String
        public let version: String
        public let provider: String

        public init(name: String, version: String, provider: String) {
            self.name = name
            self.version = version
            self.provider = provider
        }
    }

    public let manifest: Manifest
    public let bundleSha256: String
    public let runnerVersion: String
    public let startedUtc: String
    public let device: Device
    public let runtime: Runtime
    public let timings: Timings
    public let memoryPeakMiB: Double?
    public let accuracy: [Golden]
    public let invalid: [String]
    public let notes: [String]

    /// Lines for people.
    public var text: [String] {
        let middle = timings.median
        let size = "\(timings.size.width)×\(timings.size.height)"
        var lines = [
            String(format: "%@: median %.1f ms (95 %%: %.1f to %.1f)", size, middle.value, middle.low, middle.high)
        ]
        for golden in accuracy {
            let shown = golden.psnrDb.map { String(format: "%.1f dB", $0) } ?? (golden.finite ? "equal" : "no numbers")
            lines.append("\(golden.name): \(shown) to the full model")
        }
        return lines + invalid.map { "These times mean nothing: \($0)" }
    }

    /// JSON with every field that the schema asks for.
    public func json() throws -> Data {
        let value: [String: Any] = [
            "schema_version": 1,
            "runner": "ios",
            "runner_version": runnerVersion,
            "started_utc": startedUtc,
            "bundle_sha256": bundleSha256,
            "artifact_sha256": manifest.artifactSha256,
            "target": manifest.target,
            "precision": manifest.precision,
            "tasks": manifest.tasks,
            "device": [
                "profile": manifest.device, "model": device.model, "system": device.system,
                "processor": device.processor, "cores": device.cores, "memory_mib": orNull(device.memoryMiB),
                "emulated": device.simulated,
            ] as [String: Any],
            "runtime": ["name": runtime.name, "version": runtime.version, "provider": runtime.provider],
            "versions": [runtime.name: runtime.version],
            "latency": timings.json(),
            "memory_peak_mib": orNull(memoryPeakMiB),
            "memory_peak_of": "physical footprint of the app: what the system ends it by",
            "accuracy": accuracy.map { golden in
                [
                    "name": golden.name, "task": golden.task, "finite": golden.finite,
                    "psnr_db": orNull(golden.psnrDb), "agreement": orNull(golden.agreement),
                    "floor_db": orNull(golden.floorDb),
                ] as [String: Any]
            },
            "invalid": invalid,
            "notes": notes,
        ]
        return try JSONSerialization.data(withJSONObject: value, options: [.prettyPrinted, .sortedKeys])
    }
}

/// JSON has no NaN and no infinity, and `JSONSerialization` ends the app over them.
func orNull(_ value: Double?) -> Any {
    guard let value, value.isFinite else { return NSNull() }
    return value
}
