import Foundation

/// What lies in a bundle's folder.
enum Contents {
    /// What no manifest names: itself and its signature; and what a Mac's Finder leaves behind, which nothing reads.
    private static let unnamed = ["manifest.json", "signature.json"]
    private static let finders = ".DS_Store"

    /// A Problem where something is there that is not named, or no plain file: a model loads what lies beside it.
    static func check(_ folder: URL, named: Set<String>) throws {
        guard let found = FileManager.default.enumerator(atPath: folder.path) else {
            throw Problem("\(folder.lastPathComponent) cannot be read: copy the bundle again")
        }
        let known = named.union(unnamed)
        while let path = found.nextObject() as? String {
            let kind = found.fileAttributes?[.type] as? FileAttributeType
            if kind == .typeDirectory { continue }
            guard kind == .typeRegular else {
                throw Problem("\(path) is a link or no plain file, and bundles hold none: copy the bundle again")
            }
            guard known.contains(path) || path.split(separator: "/").last.map(String.init) == finders else {
                throw Problem("\(path) is none of the bundle's files: remove it, or copy the bundle again")
            }
        }
    }
}
