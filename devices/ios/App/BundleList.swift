import MoceirEdgeCore
import SwiftUI

/// The bundles in the app's folder, which a Mac's Finder and the Files app reach.
struct BundleList: View {
    @State private var folders: [URL] = []

    var body: some View {
        NavigationStack {
            List(folders, id: \.self) { folder in
                NavigationLink(folder.lastPathComponent) { BundleScreen(folder: folder) }
            }
            .overlay {
                if folders.isEmpty {
                    ContentUnavailableView(
                        "No bundle yet", systemImage: "shippingbox",
                        description: Text("Unpack a bundle for this iPhone and copy its folder here with Finder or Files."))
                }
            }
            .navigationTitle("moceir-edge")
            .task { folders = BundleList.found() }
            .refreshable { folders = BundleList.found() }
        }
    }

    private static func found() -> [URL] {
        let documents = URL.documentsDirectory
        let inside = (try? FileManager.default.contentsOfDirectory(at: documents, includingPropertiesForKeys: nil)) ?? []
        return inside
            .filter { FileManager.default.fileExists(atPath: $0.appendingPathComponent("manifest.json").path) }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }
}
