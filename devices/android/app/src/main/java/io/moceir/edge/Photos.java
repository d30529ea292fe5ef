package io.moceir.edge;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.ImageDecoder;
import android.net.Uri;
import io.moceir.edge.core.Picture;
import io.moceir.edge.core.Problem;
import java.io.IOException;
import java.io.OutputStream;

/** Pictures of the phone as 8-bit pixels. */
final class Photos {
    /** Of Java's heap, for a pixel: two pictures of planes, a weight, and pixels of before and after. */
    private static final int BYTES_PER_PIXEL = 40;

    private Photos() {}

    /** Upright, as its camera says; a Problem if it cannot be read, or takes more memory than the app has. */
    static Bitmap read(ContentResolver resolver, Uri uri) throws Problem {
        long most = Runtime.getRuntime().maxMemory() / BYTES_PER_PIXEL;
        long[] pixels = {0};
        try {
            ImageDecoder.Source source = ImageDecoder.createSource(resolver, uri);
            Bitmap bitmap = ImageDecoder.decodeBitmap(source, (decoder, info, same) -> {
                pixels[0] = (long) info.getSize().getWidth() * info.getSize().getHeight();
                decoder.setAllocator(ImageDecoder.ALLOCATOR_SOFTWARE); // one whose pixels can be read
                if (pixels[0] > most) decoder.setTargetSize(1, 1); // it is refused below, so it need not be decoded
            });
            if (pixels[0] > most) {
                String sizes = pixels[0] / 1e6 + " megapixels are more than the " + most / 1e6;
                throw new Problem(sizes + " that this phone's memory takes", "choose a smaller picture");
            }
            return bitmap;
        } catch (IOException error) {
            throw new Problem("this cannot be read as a picture", "choose a JPEG, PNG, WebP or HEIF");
        }
    }

    static int[] pixels(Bitmap bitmap) {
        int[] pixels = new int[bitmap.getWidth() * bitmap.getHeight()];
        bitmap.getPixels(pixels, 0, bitmap.getWidth(), 0, 0, bitmap.getWidth(), bitmap.getHeight());
        return pixels;
    }

    static Bitmap restored(Picture restored, int[] source) throws Problem {
        int[] pixels = restored.toPixels(source, 1);
        return Bitmap.createBitmap(pixels, restored.width, restored.height, Bitmap.Config.ARGB_8888);
    }

    /** As PNG. */
    static void write(ContentResolver resolver, Uri uri, Bitmap bitmap) throws Problem {
        try (OutputStream stream = resolver.openOutputStream(uri)) {
            if (stream == null || !bitmap.compress(Bitmap.CompressFormat.PNG, 100, stream)) throw new IOException();
        } catch (IOException error) {
            throw new Problem("the picture cannot be written there", "choose another place, or free some space");
        }
    }
}
