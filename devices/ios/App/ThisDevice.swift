import Foundation
import MoceirEdgeCore
import UIKit

/// What iOS tells of the device, and of what may spoil a measurement.
enum ThisDevice {
    @MainActor static func facts() -> ProfileResult.Device {
        #if targetEnvironment(simulator)
        let simulated = true
        #else
        let simulated = false
        #endif
        return ProfileResult.Device(
            model: control("hw.machine"),
            system: "\(UIDevice.current.systemName) \(UIDevice.current.systemVersion)",
            processor: control("hw.model"),
            cores: ProcessInfo.processInfo.activeProcessorCount,
            memoryMiB: Double(ProcessInfo.processInfo.physicalMemory) / 1_048_576,
            simulated: simulated
        )
    }

    /// Why times would mean nothing now; nil where nothing is known to spoil them.
    static func spoiled() -> String? {
        let process = ProcessInfo.processInfo
        if process.isLowPowerModeEnabled { return "low power mode is on" }
        switch process.thermalState {
        case .nominal, .fair: return nil
        case .serious: return "the device is throttled (thermal state serious)"
        case .critical: return "the device is throttled (thermal state critical)"
        @unknown default: return "the thermal state is not known"
        }
    }

    /// Peak of the memory that the system counts against the app, in MiB; nil where it does not tell.
    static func memoryPeakMiB() -> Double? {
        var facts = task_vm_info_data_t()
        var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<integer_t>.size)
        let answer = withUnsafeMutablePointer(to: &facts) { pointer in
            pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), $0, &count)
            }
        }
        return answer == KERN_SUCCESS ? Double(facts.ledger_phys_footprint_peak) / 1_048_576 : nil
    }

    private static func control(_ name: String) -> String {
        var size = 0
        guard sysctlbyname(name, nil, &size, nil, 0) == 0, size > 0 else { return "unknown" }
        var bytes = [CChar](repeating: 0, count: size)
        guard sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return "unknown" }
        return String(cString: bytes)
    }
}
