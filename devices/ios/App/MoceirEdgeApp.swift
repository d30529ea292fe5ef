import SwiftUI

@main
struct MoceirEdgeApp: App {
    var body: some Scene {
        WindowGroup {
            BundleList()
        }
    }
}
