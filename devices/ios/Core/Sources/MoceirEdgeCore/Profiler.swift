import Foundation

/// Times a session and compares it with the golden pictures, in one process: what `devices/runner/result.py` does.
public struct Profiler {
    /// Of this app, which runs the bundle; the bundle may be of another.
    public static let version = "0.1.0"

    /// Of timed runs, at least; and at least so many of them.
    static let seconds = 10.0
    static let leastRuns = 20

    public let manifest: Manifest
    public let bundleSha256: String
    public let device: ProfileResult.Device
    public let runtime: ProfileResult.Runtime
    public let loadMs: Double
    /// Why times mean nothing at this moment, and the peak of memory so far, as the device tells.
    public let spoiled: () -> String?
    public let memoryPeakMiB: () -> Double?

    public init(
        manifest: Manifest, bundleSha256: String, device: ProfileResult.Device, runtime: ProfileResult.Runtime,
        loadMs: Double, spoiled: @escaping () -> String?, memoryPeakMiB: @escaping () -> Double?
    ) {
        self.manifest = manifest
        self.bundleSha256 = bundleSha256
        self.device = device
        self.runtime = runtime
        self.loadMs = loadMs
        self.spoiled = spoiled
        self.memoryPeakMiB = memoryPeakMiB
    }

    /// folder: of the bundle; told(done, all): how far the timed runs have come.
    public func run(_ session: Session, folder: URL, told: (Int, Int) -> Void) throws -> ProfileResult {
        let started = ISO8601DateFormatter().string(from: Date())
        let picture = try self.picture(session, folder)
        var invalid = Set([spoiled()].compactMap { $0 })
        let timings = try timed(session, picture, told: told) { if let why = spoiled() { invalid.insert(why) } }
        let peak = memoryPeakMiB()
        if !timings.steady { invalid.insert("never steady in \(timings.warmUpMs.count) runs of warm-up") }
        if let slower = Steady.slowerLater(timings.runsMs) {
            let percent = Int((100 * slower).rounded())
            invalid.insert("the later half of the runs is \(percent)% slower than the earlier: throttled, or others at work")
        }
        let short = timings.short.joined(separator: ", ")
        let few = "\(short): too few runs (\(timings.runsMs.count)) for a whole 95 % interval: "
            + "it ends at the fastest or slowest run"
        return ProfileResult(
            manifest: manifest, bundleSha256: bundleSha256, runnerVersion: Profiler.version, startedUtc: started,
            device: device, runtime: runtime, timings: timings, memoryPeakMiB: peak,
            accuracy: try manifest.golden.map { try accuracy($0, session, folder) },
            invalid: invalid.sorted(), notes: short.isEmpty ? [] : [few])
    }

    private func picture(_ session: Session, _ folder: URL) throws -> Planes {
        guard let golden = manifest.golden.first else {
            throw Problem("the bundle has no golden picture: make it again")
        }
        let picture = try planes(golden.input, folder)
        let served = session.served ?? (height: picture.height / 8 * 8, width: picture.width / 8 * 8)
        let part = picture.cropped(top: 0, left: 0, height: served.height, width: served.width)
        return part.padded(height: served.height, width: served.width)
    }

    private func timed(
        _ session: Session, _ picture: Planes, told: (Int, Int) -> Void, look: () -> Void
    ) throws -> Timings {
        func run() throws -> Double {
            let started = DispatchTime.now().uptimeNanoseconds
            _ = try session.run(picture)
            return Double(DispatchTime.now().uptimeNanoseconds - started) / 1e6
        }
        let firstMs = try run()
        var warmUp = [Double]()
        while !Steady.isSteady(warmUp) {
            let tired = warmUp.count >= Steady.most || warmUp.reduce(0, +) > Steady.mostS * 1e3
            if warmUp.count >= Steady.least && tired { break }
            warmUp.append(try run())
        }
        var (runs, began) = ([Double](), [Double]())
        let start = DispatchTime.now().uptimeNanoseconds
        var passed = 0.0
        while runs.count < Profiler.leastRuns || passed < Profiler.seconds {
            began.append(passed)
            runs.append(try run())
            look()
            passed = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
            told(Int(min(passed, Profiler.seconds) * 100), Int(Profiler.seconds * 100))
        }
        return Timings(
            size: (picture.height, picture.width), loadMs: loadMs, firstMs: firstMs, warmUpMs: warmUp,
            steady: Steady.isSteady(warmUp), runsMs: runs, beganS: began)
    }

    private func accuracy(_ golden: Manifest.Golden, _ session: Session, _ folder: URL) throws -> ProfileResult.Golden {
        let found = try Tiles.restore(try planes(golden.input, folder), with: session)
        let reference = try planes(golden.reference, folder)
        guard reference.height == found.restored.height, reference.width == found.restored.width else {
            throw Problem("\(golden.reference) is of another size than its picture: make the bundle again")
        }
        let parity = psnr(found.restored, reference)
        return ProfileResult.Golden(
            name: golden.name, task: golden.task, finite: !parity.isNaN, psnrDb: parity.isFinite ? parity : nil,
            agreement: found.agreement, floorDb: golden.floorDb)
    }

    private func planes(_ path: String, _ folder: URL) throws -> Planes {
        try Npy.planes(Data(contentsOf: folder.appendingPathComponent(path)))
    }
}
