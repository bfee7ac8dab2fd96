using System;

namespace Llia.Core
{
    /// <summary>A picture in memory that is used again: keep it no longer than until the next one is taken.</summary>
    public sealed class VideoFrame : ITimed
    {
        /// <summary>Rows from the top, 4 bytes a pixel; may be longer than <see cref="PixelBytes"/>.</summary>
        public byte[] Pixels { get; internal set; }

        public int PixelBytes { get; internal set; }
        public int Width { get; internal set; }
        public int Height { get; internal set; }
        public PixelFormat Format { get; internal set; }
        public AlphaMode Alpha { get; internal set; }

        /// <summary>Its time on the avatar's clock, 16 kHz samples.</summary>
        public long PtsSamples { get; internal set; }

        public long Epoch { get; internal set; }
        public AvatarState State { get; internal set; }

        /// <summary>What it says, "" in silence.</summary>
        public string UtteranceId { get; internal set; }

        /// <summary>From sound to picture as the daemon measured it; -1 in silence.</summary>
        public double LatencyMs { get; internal set; }

        /// <summary>The daemon's monotonic clock when it was published.</summary>
        public long PublishedNs { get; internal set; }

        /// <summary>This machine's monotonic clock when its last pixel had arrived.</summary>
        public long ArrivedNs { get; internal set; }

        internal VideoFrame()
        {
            Pixels = new byte[0];
            UtteranceId = "";
        }

        internal void Take(FrameHeader header, int pixelBytes)
        {
            if (Pixels.Length < pixelBytes || Pixels.Length > 4L * Math.Max(pixelBytes, 4096))
            {
                Pixels = new byte[pixelBytes];
            }
            PixelBytes = pixelBytes;
            Width = header.Width;
            Height = header.Height;
            Format = header.Format;
            Alpha = header.Alpha;
            PtsSamples = header.PtsSamples;
            Epoch = header.Epoch;
            State = header.State;
            UtteranceId = header.UtteranceId;
            LatencyMs = header.LatencyMs;
            PublishedNs = header.PublishedNs;
        }
    }
}
