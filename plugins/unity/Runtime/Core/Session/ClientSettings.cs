namespace Llia.Core
{
    /// <summary>How a client finds its daemon.</summary>
    public sealed class ClientSettings
    {
        public string ControlEndpoint = "tcp://127.0.0.1:5570";

        /// <summary>Empty: the one that the daemon tells.</summary>
        public string FramesEndpoint = "";

        /// <summary>For the daemon's log.</summary>
        public string ClientName = "unity";

        /// <summary>For a connection's handshake and for the daemon's first answer.</summary>
        public int HandshakeTimeoutMs = 3000;

        /// <summary>A connection that is silent for longer is given up and made anew.</summary>
        public int SilenceTimeoutMs = 6000;

        public int FirstRetryMs = 250;
        public int LongestRetryMs = 5000;

        /// <summary>A larger picture ends the connection.</summary>
        public int MostFrameBytes = 64 << 20;
    }

    /// <summary>The avatar that is wanted.</summary>
    public sealed class AvatarSettings
    {
        /// <summary>Drive the avatar that every client shares instead of opening one.</summary>
        public bool UseDefault;

        /// <summary>An avatar of the pack by name, or a picture's path on the daemon's machine; empty: the pack's default.</summary>
        public string Picture = "";

        /// <summary>A picture as PNG, JPEG or WebP; null for none.</summary>
        public byte[] PictureFile;

        /// <summary>A shipped model pack by name; empty: the daemon's.</summary>
        public string Pack = "";

        /// <summary>64 to 1024 in steps of 32; 0: the daemon's.</summary>
        public int SizePx;

        /// <summary>10 to 60; 0: the daemon's.</summary>
        public int Fps;

        public PixelFormat Format = PixelFormat.Rgba;
        public AlphaMode Alpha = AlphaMode.Straight;

        /// <summary>Of the noise; -1: another one each time.</summary>
        public long Seed = -1;

        /// <summary>Receive pictures.</summary>
        public bool WantFrames = true;

        /// <summary>Receive blendshapes, head angles and visemes.</summary>
        public bool WantFaces;
    }
}
