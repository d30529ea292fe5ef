import MoceirEdgeCore
import PhotosUI
import SwiftUI

/// One bundle: profile it, or restore a photo with it.
struct BundleScreen: View {
    let folder: URL
    @State private var work = Work()
    @State private var picked: PhotosPickerItem?
    @State private var slider = 0.5
    @AppStorage("key") private var key = ""

    private var demanded: String? { key.isEmpty ? nil : key }

    var body: some View {
        List {
            Section {
                Button("Profile") { work.profile(folder, key: demanded) }
                PhotosPicker("Restore a photo", selection: $picked, matching: .images)
                TextField("Public key that must have signed it, or nothing", text: $key)
                    .autocorrectionDisabled()
                    .textInputAutocapitalization(.never)
            }
            .disabled(work.busy)
            if work.busy {
                ProgressView(value: work.progress) { Text(work.doing) }
            }
            if let problem = work.problem {
                Label(problem, systemImage: "exclamationmark.triangle").foregroundStyle(.red)
            }
            if let file = work.resultFile {
                Section("Result") {
                    ForEach(work.lines, id: \.self) { Text($0) }
                    ShareLink("Send \(file.lastPathComponent)", item: file)
                }
            }
            if let pair = work.pictures {
                Section("Photo") {
                    Compared(before: pair.before, after: pair.after, split: slider)
                    Slider(value: $slider) { Text("Divider between before and after") }
                    if let warning = work.warning {
                        Label(warning, systemImage: "eye.trianglebadge.exclamationmark").foregroundStyle(.orange)
                    }
                }
            }
        }
        .navigationTitle(folder.lastPathComponent)
        .onChange(of: picked) { _, item in
            if let item { work.restore(item, with: folder, key: demanded) }
        }
    }
}

/// Before on the left of the divider, after on its right.
private struct Compared: View {
    let before: UIImage
    let after: UIImage
    let split: Double

    var body: some View {
        Image(uiImage: after).resizable().scaledToFit()
            .overlay(alignment: .leading) {
                GeometryReader { space in
                    Image(uiImage: before).resizable().scaledToFit()
                        .frame(width: space.size.width)
                        .mask(alignment: .leading) { Rectangle().frame(width: space.size.width * split) }
                }
            }
            .accessibilityLabel("The photo before and after, divided at \(Int(split * 100)) percent")
    }
}
